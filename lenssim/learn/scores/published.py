"""What others measured with networks, to stand beside our own numbers; of their data, not ours."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ERRORS", "Published", "published"]


@dataclass(frozen=True)
class Published:
    """A result of a `source`: values of `statistic` by target, of the preset called `preset` if it is of one."""

    source: str
    statistic: str
    values: Mapping[str, float]
    preset: str | None = None


def _axion(source: str, *errors: float) -> list[Published]:
    return [
        Published(source, "mae", {"log10_m_axion": e}, p)
        for p, e in zip(("I", "II", "III"), errors, strict=True)
    ]


# Both give ellipticities by two components of 1 - q, which at moderate ellipticity are about twice our e1 and e2; the
# second's components turn by 180 degrees and more between equal lenses.
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
    """Results of that statistic that have one of the targets, for any data or those of the preset.

    Such as III-axion counts as III: it is taken for the same preset without its other classes.
    """
    own = preset and preset.removesuffix("-axion")
    return [
        each
        for each in ERRORS
        if each.statistic == statistic
        and each.preset in (None, own)
        and set(targets) & set(each.values)
    ]
