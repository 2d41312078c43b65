"""lenssim: dark-matter models to strong-lensing training data, and training data to answers.

    >>> import lenssim as ls
    >>> data = ls.open("data/III")
    >>> data.images(range(8)).shape
    (8, 1, 64, 64)

Every command of the command line is a function here, with the same names and defaults.
docs/python.md shows them. Importing lenssim imports neither torch nor h5py nor numpy.
"""

from lenssim.lazy import lazy_exports

TYPE_CHECKING = (
    False  # as type checkers read it; importing typing takes longer than all else
)
if TYPE_CHECKING:
    from lenssim import data, errors, learn, simulate
    from lenssim.api.answers import Posterior, Scores
    from lenssim.api.checks import audit, doctor, verify
    from lenssim.api.comparison import parity
    from lenssim.api.completeness import completeness
    from lenssim.api.dataset import Dataset
    from lenssim.api.evaluation import evaluate, load_run, population, predict
    from lenssim.api.exchange import export, import_data
    from lenssim.api.exposure import Exposure
    from lenssim.api.fields import extract, mosaic
    from lenssim.api.folders import info, repack, seal
    from lenssim.api.generation import expose, generate, render
    from lenssim.api.modelling import Models, fit
    from lenssim.api.nets import nets, pack, pretrained
    from lenssim.api.opening import open, show
    from lenssim.api.presets import instruments, presets
    from lenssim.api.probing import probe
    from lenssim.api.recipes import recipes, run
    from lenssim.api.run import Run
    from lenssim.api.search import Candidates, search
    from lenssim.api.surveys import Lenses, survey
    from lenssim.api.table import Table
    from lenssim.api.training import train

__all__ = [
    "Candidates",
    "Dataset",
    "Exposure",
    "Lenses",
    "Models",
    "Posterior",
    "Run",
    "Scores",
    "Table",
    "__version__",
    "audit",
    "completeness",
    "data",
    "doctor",
    "errors",
    "evaluate",
    "export",
    "expose",
    "extract",
    "fit",
    "generate",
    "import_data",
    "info",
    "instruments",
    "learn",
    "load_run",
    "mosaic",
    "nets",
    "open",
    "pack",
    "parity",
    "population",
    "predict",
    "presets",
    "pretrained",
    "probe",
    "recipes",
    "render",
    "repack",
    "run",
    "seal",
    "search",
    "show",
    "simulate",
    "survey",
    "train",
    "verify",
]
__version__ = "0.1.0"

_MODULES = {
    "answers": ("Posterior", "Scores"),
    "checks": ("audit", "doctor", "verify"),
    "comparison": ("parity",),
    "completeness": ("completeness",),
    "dataset": ("Dataset",),
    "opening": ("open", "show"),
    "evaluation": ("evaluate", "load_run", "population", "predict"),
    "exchange": ("export", "import_data"),
    "exposure": ("Exposure",),
    "fields": ("extract", "mosaic"),
    "folders": ("info", "repack", "seal"),
    "generation": ("expose", "generate", "render"),
    "modelling": ("Models", "fit"),
    "nets": ("nets", "pack", "pretrained"),
    "presets": ("instruments", "presets"),
    "probing": ("probe",),
    "recipes": ("recipes", "run"),
    "run": ("Run",),
    "surveys": ("Lenses", "survey"),
    "search": ("Candidates", "search"),
    "table": ("Table",),
    "training": ("train",),
}
_SOURCES = {
    name: f"lenssim.api.{module}" for module, names in _MODULES.items() for name in names
}
_ROOMS = {room: f"lenssim.{room}" for room in ("data", "errors", "learn", "simulate")}

__getattr__, __dir__ = lazy_exports(__name__, {**_SOURCES, **_ROOMS})
