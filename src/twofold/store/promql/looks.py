"""What a query looks at: the conditions of its selectors, and how far back each of them reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import promql_parser as native

from twofold.store.promql.limits import Limits
from twofold.store.promql.matchers import Conditions
from twofold.store.promql.parse import conditions, parse


@dataclass(frozen=True, slots=True)
class Look:
    """One selector of a query.

    Attributes:
        back_ms: How long before the moment of evaluation its oldest sample may lie.
        pinned: It looks at a fixed time or ahead (`@`, a negative offset), so evaluating many moments at once would
            show it what did not exist yet.
    """

    conditions: Conditions
    back_ms: int
    pinned: bool


def looks(text: str, limits: Limits) -> list[Look]:
    """Every selector of a query.

    >>> [look.back_ms for look in looks("rate(a[10m] offset 1h) > on () max_over_time(b[1d:5m])", Limits())]
    [4200000, 87000000]

    Raises:
        InputError: No PromQL.
        TooLarge: Past the bounds of a query's text.
    """
    return list(_looks(parse(text, limits), 0, limits, pinned=False))


def _looks(node: Any, back_ms: int, limits: Limits, *, pinned: bool) -> Iterator[Look]:
    match node:
        case native.VectorSelector():
            yield _look(node, back_ms + limits.lookback_ms, pinned)
        case native.MatrixSelector():
            yield _look(node.vector_selector, back_ms + ms(node.range), pinned)
        case native.SubqueryExpr():
            step = ms(node.step) if node.step else limits.subquery_step_ms
            back, fixed = _moved(node, back_ms + ms(node.range) + step)
            yield from _looks(node.expr, back, limits, pinned=pinned or fixed)
        case _:
            for each in parts(node):
                yield from _looks(each, back_ms, limits, pinned=pinned)


def _look(selector: Any, back_ms: int, pinned: bool) -> Look:  # noqa: FBT001 - one of two, named where it is made
    back, fixed = _moved(selector, back_ms)
    return Look(conditions(selector), back, pinned or fixed)


def _moved(node: Any, back_ms: int) -> tuple[int, bool]:
    """How far back with the offset, and whether it looks at a fixed time or ahead."""
    offset = ms(node.offset) if node.offset is not None else 0
    return max(back_ms + offset, 0), node.at is not None or offset < 0


def parts(node: Any) -> Sequence[Any]:
    """The expressions that one is made of, parameters too."""
    match node:
        case native.BinaryExpr():
            return (node.lhs, node.rhs)
        case native.Call():
            return tuple(node.args)
        case native.AggregateExpr():
            return (node.expr, node.param) if node.param is not None else (node.expr,)
        case native.ParenExpr() | native.UnaryExpr():
            return (node.expr,)
    return ()


def ms(duration: Any) -> int:
    """A parsed duration in milliseconds."""
    seconds: float = duration.total_seconds()
    return round(seconds * 1000)
