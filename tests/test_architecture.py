"""The house rules that a machine can check: imports run one way, modules stay small and say what they export."""

import ast
from pathlib import Path

import pytest

import lenssim

PACKAGE = Path(lenssim.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
WINGS = ["formats", "simulate", "data", "learn", "cli"]  # a wing imports those before it, never those after
HEAVY_FOR_SIMULATE = {"h5py", "dask", "distributed", "lightning"}
TORCH_MAY = (
    "simulate/engines/batched",
    "learn",
    *(f"data/{name}.py" for name in ("dataset", "sampler", "stream", "live")),
)


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
            assert not [name for name in names if name.startswith(f"lenssim.{later}")], f"{wing} imports {later}"
    roots = {name.split(".")[0] for name in names}
    if wing in ("formats", "simulate"):
        assert not roots & HEAVY_FOR_SIMULATE
    if "torch" in roots:
        assert str(place).startswith(TORCH_MAY)
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a module says what it is"
    assert len(path.read_text().splitlines()) <= 350, "a module is one noun and fits on a few screens"
    assert path.name not in ("utils.py", "helpers.py")
    if path.name != "__main__.py" and len(tree.body) > 1:
        assigned = {
            t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if hasattr(t, "id")
        }
        assert "__all__" in assigned
