"""The composites of a preset, each with what surrounds it."""

from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.preset_model import Preset
from lenssim.simulate.scenes import Role

__all__ = ["composites_of"]

_DISPERSED = ("sie", "epl")  # lenses whose Einstein radius tells a velocity dispersion


def composites_of(preset: Preset, *roles: Role) -> list[tuple[Composite, Setting]]:
    """Return the composites of a preset in some roles, in order.

    Args:
        preset: The preset.
        roles: "lens_light" or "source".
    """
    own = {id(choice) for role in roles for choice in getattr(preset, role)}
    lens = next(
        (
            prefix
            for prefix, choice in preset.prefixed()
            if choice.profile in _DISPERSED and id(choice) in set(map(id, preset.lens))
        ),
        None,
    )
    return [
        (
            choice.composite,
            Setting(
                prefix,
                choice.parameters,
                lens,
                preset.instrument,
                preset.cosmology,
                choice.filter,
            ),
        )
        for prefix, choice in preset.prefixed()
        if choice.composite is not None and id(choice) in own
    ]
