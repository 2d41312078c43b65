"""The errors that the source code raises, read from its syntax trees."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lenssim
from lenssim import errors

PACKAGE = Path(lenssim.__file__).parent
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.LenssimError)
}


def has_code(code: str, **fields: object) -> Callable[[BaseException], bool]:
    """Return the `check` of `pytest.raises` for an error with this code and these fields."""

    def check(error: BaseException) -> bool:
        assert isinstance(error, errors.LenssimError)
        assert error.code == code, str(error)
        return {name: error.fields.get(name) for name in fields} == fields

    return check


@dataclass(frozen=True)
class Site:
    """A call that makes an error: where it stands, its code and its exit code."""

    place: str
    code: ast.expr | None
    exit_code: int

    @property
    def text(self) -> str | None:
        """The code, if the source states it as a text."""
        return self.code.value if isinstance(self.code, ast.Constant) else None


def sites() -> Iterator[Site]:
    """Yield each call of an error's class, and each `raise unknown(...)`.

    A class with an `__init__` of its own stands for its calls: its `super().__init__` gives the code.
    """
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "errors.py"
    }
    kinds = dict(CLASSES)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and _base(node) in CLASSES:
                kind = CLASSES[_base(node)]
                initial = [s for s in node.body if getattr(s, "name", "") == "__init__"]
                if initial:
                    yield from _super_calls(path, initial[0], kind)
                else:
                    kinds[node.name] = kind
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                yield _site(path, node, kinds[node.func.id])
            if isinstance(node, ast.Raise) and _is_unknown(node.exc):
                yield _site(path, node.exc, errors.ConfigError)
            elif isinstance(node, ast.Assign) and _is_unknown(node.value):
                yield _site(path, node.value, errors.ConfigError)


def expected_errors(folder: Path) -> Iterator[bool]:
    """Yield for each error of lenssim that tests expect whether they ask for its code."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "raises":
                continue
            kinds = {getattr(part, "id", "") for part in ast.walk(node.args[0])}
            if kinds & CLASSES.keys():
                yield any(keyword.arg == "check" for keyword in node.keywords)


def _is_unknown(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "unknown"


def _base(node: ast.ClassDef) -> str:
    return getattr(node.bases[0], "id", "") if node.bases else ""


def _super_calls(path: Path, initial: ast.AST, kind: type) -> Iterator[Site]:
    for node in ast.walk(initial):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "__init__":
            yield _site(path, node, kind)


def _site(path: Path, call: ast.Call, kind: type) -> Site:
    codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
    return Site(place, codes[0] if codes else None, kind.exit_code)
