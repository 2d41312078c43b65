"""Images of one galaxy in several bands, which an import without bands would count one by one."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from lenssim.data.exchange.importing import ImportItem
from lenssim.names import printable
from lenssim.simulate.sources.twins import stem_without_band

__all__ = ["note_twins"]


def note_twins(items: Sequence[ImportItem], warn: Callable[[str], None]) -> None:
    """Warn of galaxies that several images show, in other bands by the names of their files.

    Each image would count, and a galaxy lie in several splits.

    Args:
        items: The samples.
        warn: Is called with the warning.
    """
    by_galaxy: dict[tuple[int, str], list[str]] = defaultdict(list)
    for item in items:
        folder, _, file = item.name.rpartition("/")
        stem = stem_without_band(file.partition(".")[0])
        by_galaxy[item.label, f"{folder}/{stem}"].append(item.name)
    twins = [names for names in by_galaxy.values() if len(names) > 1]
    if twins:
        examples = " and ".join(printable(name) for name in twins[0][:2])
        warn(
            f"warning: by their names, {sum(map(len, twins))} images show {len(twins)} galaxies in "
            f"several bands, such as {examples}; each image counts, so that splits share galaxies: "
            "lenssim import fits joins the bands of a galaxy"
        )
