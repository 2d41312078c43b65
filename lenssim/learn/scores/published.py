"""Published errors of networks on other data, for comparison with our own."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ERRORS", "Published", "published"]


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        source: The paper or network.
        statistic: The kind of error.
        values: Errors by target.
        preset: Name of the preset that the data correspond to, None for other data.
    """

    source: str
    statistic: str
    values: Mapping[str, float]
    preset: str | None = None


def _axion(source: str, *errors: float) -> list[Published]:
    return [
        Published(source, "mae", {"log10_m_axion": error}, preset)
        for preset, error in zip(("I", "II", "III"), errors, strict=True)
    ]


# The first two give ellipticities by two components of 1 - q, which at moderate ellipticity are about twice
# our e1 and e2. The second's components turn by 180 degrees and more between equal lenses.
ERRORS: list[Published] = [
    Published(
        "Hezaveh et al. 2017",
        "error_68",
        {"theta_E": 0.03, "e1": 0.04, "e2": 0.05, "center_x": 0.06, "center_y": 0.06},
    ),
    Published(
        "Sorscher & Wagner-Carena",
        "error_68",
        {
            "theta_E": 0.07,
            "e1": 0.11,
            "e2": 0.12,
            "center_x": 0.26,
            "center_y": 0.29,
            "magnification": 0.37,
        },
    ),
    *_axion("XResNet18-hybrid", 0.2737, 0.2209, 0.1262),
    *_axion("CmtTi", 0.2743, 0.2393, 0.1442),
    *_axion("ResNet34", 0.2849, 0.2162, 0.1332),
    *_axion("CvT-13", 0.2779, 0.2548, 0.1403),
    *_axion("ViT", 0.4420, 0.2437, 0.2175),
]


def published(
    statistic: str, targets: tuple[str, ...], preset: str | None
) -> list[Published]:
    """Return the published results of a statistic for at least one of the targets.

    A preset such as III-axion counts as III: it is the same preset without its other classes.

    Args:
        statistic: The kind of error, `error_68` or `mae`.
        targets: Names of targets.
        preset: Name of the preset of our data, if any.

    Returns:
        Results for any data or for those of the preset.

    Example:
        >>> [result.source for result in published("error_68", ("theta_E",), None)]
        ['Hezaveh et al. 2017', 'Sorscher & Wagner-Carena']
    """
    base_preset = preset and preset.removesuffix("-axion")
    return [
        result
        for result in ERRORS
        if result.statistic == statistic
        and result.preset in (None, base_preset)
        and set(targets) & set(result.values)
    ]
