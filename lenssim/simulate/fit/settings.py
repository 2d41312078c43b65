"""The settings of a search, and the widths of its priors."""

from dataclasses import dataclass

from lenssim.simulate.fit.scan import FINE, QUICK, ScanGrid

__all__ = ["Priors", "Search"]


@dataclass(frozen=True)
class Priors:
    """Widths of the normal priors of a lens.

    Attributes:
        ellipticity: Of e1 and e2, about the ellipticity of the light if the lens shines.
        shear: Of gamma1 and gamma2, about 0.
        centre: Of the centre of the mass, about that of the light [arcsec].
        source_ellipticity: Of the source, about 0.
        source_centre: Of the source, about the lens [arcsec].
        multipoles: Of each multipole of the mass, about 0.
        slope: Of the slope gamma of the mass, about 2.
    """

    ellipticity: float = 0.08
    shear: float = 0.03
    centre: float = 0.03
    source_ellipticity: float = 0.25
    source_centre: float = 0.5
    multipoles: float = 0.01
    slope: float = 0.2


WITH_LIGHT = Priors()
WITHOUT_LIGHT = Priors(ellipticity=0.15, shear=0.06)


@dataclass(frozen=True)
class Search:
    """How a lens is searched for.

    Attributes:
        has_light: Whether the lens shines.
        priors: Widths of the priors; None: those of lenses with or without light.
        grid: Masses and sources of the scan.
        fine_grid: Those of an escalated search.
        starts: Candidates of the scan, which are each fitted.
        fine_starts: Those of an escalated search.
        minima: Minima that are fitted at full resolution.
        rays: Rays a pixel side of the last fit.
        has_additions: Whether neighbours and clumps of the source are modelled; None: of
            lenses that shine.
        has_multipoles: Whether the last fit of the mass has multipoles, m = 3 and 4.
        has_slope: Whether the last fit of the mass is a power law, not isothermal.
        escalates: Whether a search that looks unsure is repeated on the finer grid.
    """

    has_light: bool = True
    priors: Priors | None = None
    grid: ScanGrid = QUICK
    fine_grid: ScanGrid = FINE
    starts: int = 6
    fine_starts: int = 12
    minima: int = 4
    rays: int = 2
    has_additions: bool | None = None
    has_multipoles: bool = False
    has_slope: bool = False
    escalates: bool = True

    @property
    def adds(self) -> bool:
        """Whether neighbours and clumps of the source are modelled."""
        return self.has_light if self.has_additions is None else self.has_additions

    @property
    def widths(self) -> Priors:
        """The widths of the priors."""
        if self.priors is not None:
            return self.priors
        return WITH_LIGHT if self.has_light else WITHOUT_LIGHT
