"""Rules: which lenses of a survey are found, by name or as an expression."""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, TypeGuard

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.names import printable

__all__ = ["RULES", "check_rule", "found"]

RULES = {
    "collett2015": (
        "snr > 20 and magnification > 3 and magnification * source_R_sersic > seeing "
        "and theta_E**2 > source_R_sersic**2 + (seeing / 2)**2"
    ),
    "collett2015_coded": (
        "snr > 20 and magnification > 3 and magnification * source_R_sersic > seeing "
        "and 2 * theta_E**2 > 4 * source_R_sersic**2 + seeing**2"
    ),
    "euclid_q1": (
        "snr > 20 and magnification > 3 and magnification * source_R_sersic > seeing "
        "and theta_E**2 > source_R_sersic**2 + (seeing / 2)**2 "
        "and lens_light_magnitude < 22.5"
    ),
    "resolved": "snr > 20 and magnification > 3 and theta_E > 3 * seeing",
    "all": "theta_E > 0",
}
"""Rules by name: Collett 2015 as its paper and as its code LensPop have it; the paper's for
the galaxies that Euclid's first search looked at; clearly resolved rings; and all."""

_LONGEST = 1000  # characters of an expression
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.Not: np.logical_not,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
}


def found(rule: str, columns: Mapping[str, np.ndarray], **numbers: float) -> np.ndarray:
    """Return which lenses a rule accepts.

    Args:
        rule: A name of `RULES`, or an expression of columns and numbers with + - * / **,
            comparisons, and, or, not.
        columns: Columns (N,) by name.
        numbers: Numbers by name, such as `seeing` [arcsec].

    Returns:
        Bool (N,).

    Raises:
        ConfigError: The rule is no such expression, or names what is unknown.

    Example:
        >>> lenses = {"theta_E": np.array([0.4, 1.2]), "snr": np.array([30.0, 12.0])}
        >>> found("theta_E > 1 or snr > 25", lenses).tolist()
        [True, True]
    """
    names = {**columns, **numbers}
    result = _value(_parsed(rule).body, names)
    accepted = np.asarray(result)
    if accepted.dtype != bool:
        raise ConfigError(
            f"the rule {printable(rule)} is a number and no comparison; write {printable(rule)} > 0",
            code="rule",
            rule=rule,
        )
    length = len(next(iter(columns.values())))
    return np.broadcast_to(accepted, (length,)).copy()


def check_rule(rule: str) -> None:
    """Refuse what is no rule; the names in it are checked when it is applied.

    Raises:
        ConfigError: It is neither a name nor an expression.
    """
    _parsed(rule)


def _parsed(rule: str) -> ast.Expression:
    """Return the syntax tree of a rule."""
    text = RULES.get(rule, rule)
    if text.isidentifier():
        raise unknown("rule", printable(text), RULES, code="rule")
    if len(text) > _LONGEST:
        raise ConfigError(f"a rule has at most {_LONGEST} characters", code="rule")
    try:
        return ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"the rule {printable(text[:60])} is no expression: {error}",
            code="rule",
            rule=text[:60],
        ) from None


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """Return the value of a part of an expression."""
    if isinstance(node, ast.Constant) and _is_number(node.value):
        return float(node.value)
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise unknown("column of a rule", printable(node.id), names, code="rule")
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, names))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        sides = (_value(node.left, names), _value(node.right, names))
        return _OPERATORS[type(node.op)](*sides)
    if isinstance(node, ast.BoolOp):
        parts = [_value(part, names) for part in node.values]
        return reduce(_OPERATORS[type(node.op)], parts)
    if isinstance(node, ast.Compare) and all(type(op) in _OPERATORS for op in node.ops):
        terms = [_value(side, names) for side in (node.left, *node.comparators)]
        links = zip(node.ops, terms[:-1], terms[1:], strict=True)
        return reduce(np.logical_and, [_OPERATORS[type(op)](a, b) for op, a, b in links])
    raise ConfigError(
        f"a rule has columns, numbers, + - * / **, comparisons, and, or, not; got "
        f"{printable(ast.unparse(node))[:60]}",
        code="rule",
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
