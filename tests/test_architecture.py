"""The house rules that a machine can check: imports run one way, modules stay small and say what they export."""

import ast
from pathlib import Path

import pytest

import lenssim

PACKAGE = Path(lenssim.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
WINGS = [
    "formats",
    "simulate",
    "data",
    "sky",
    "learn",
    "api",
    "cli",
]  # a wing imports those before it, never those after
HEAVY_FOR_SIMULATE = {"h5py", "dask", "distributed", "lightning"}
TORCH_MAY = (
    "simulate/engines/batched",
    "simulate/fit",
    "learn",
    *(
        f"data/streaming/{name}.py"
        for name in ("dataset", "live", "sampler", "source", "stream")
    ),
)
FLOORS = {  # rooms of a wing from the ground up: a room imports those before it, never those after
    "data": ("format", "streaming", "generation", "exchange", "inspection"),
    "sky": ("fields", "models", "surveys"),
    "learn": (
        *(
            "inputs",
            "heads",
            "nets",
            "scores",
            "figures",
            "compute",
            "config",
            "tasks",
            "methods",
        ),
        *("runs", "training", "evaluation", "population", "report", "recipes"),
    ),
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_the_house_rules(path):
    place, names = path.relative_to(PACKAGE), imported(path)
    wing = place.parts[0]
    if wing in WINGS:
        for later in WINGS[WINGS.index(wing) + 1 :]:
            assert not [name for name in names if name.startswith(f"lenssim.{later}")], (
                f"{wing} imports {later}"
            )
    roots = {name.split(".")[0] for name in names}
    if wing in ("formats", "simulate") and place.name != "hdf5.py":
        assert not roots & HEAVY_FOR_SIMULATE
    if "torch" in roots:
        assert str(place).startswith(TORCH_MAY)
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a module says what it is"
    assert len(path.read_text().splitlines()) <= 350, (
        "a module is one noun and fits on a few screens"
    )
    assert path.name not in ("utils.py", "helpers.py")
    if path.name != "__main__.py" and len(tree.body) > 1:
        assigned = {
            t.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for t in node.targets
            if hasattr(t, "id")
        }
        assert "__all__" in assigned


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


IMPORTS = {
    module_name(path): {
        part
        for name in imported(path)
        for part in (name, name.rpartition(".")[0])
        if part.startswith("lenssim.")
    }
    for path in MODULES
}


@pytest.mark.parametrize("wing", FLOORS)
def test_rooms_import_only_rooms_below(wing):
    """Imports inside functions count too."""
    floors = FLOORS[wing]
    rooms = {
        path.relative_to(PACKAGE / wing).parts[0].removesuffix(".py")
        for path in MODULES
        if wing in path.parts
    }
    assert rooms - {"__init__"} == set(floors), "each room has its floor"
    climbs = []
    for module, names in IMPORTS.items():
        prefix, _, room = ".".join(module.split(".")[:3]).rpartition(".")
        if prefix != f"lenssim.{wing}":
            continue
        above = floors[floors.index(room) + 1 :]
        climbs += [
            f"{module} -> {name}"
            for name in names
            if name.startswith(tuple(f"{prefix}.{r}" for r in above))
        ]
    assert not climbs


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions and for type checkers count too: they bind as the others do."""
    graph = {
        module: {name for name in names if name in IMPORTS} - {module}
        for module, names in IMPORTS.items()
    }
    # a package's own modules may import each other through it; it is a name for them, not a module
    while leaves := {module for module, names in graph.items() if not names & graph.keys()}:
        graph = {module: names for module, names in graph.items() if module not in leaves}
    assert not graph, f"a circle within {sorted(graph)}"
