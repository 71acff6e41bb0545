"""Evaluates a parsed query at all its steps at once.

Source: Prometheus's documentation of querying; where versions differ, that of version 3 (windows are open to the left).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import promql_parser as native

from twofold.errors import InputError, TooLarge, Unsupported
from twofold.store.promql import aggregate, binary
from twofold.store.promql.functions import call
from twofold.store.promql.limits import Account, Limits
from twofold.store.promql.looks import ms
from twofold.store.promql.matchers import Conditions
from twofold.store.promql.parse import conditions, parse
from twofold.store.promql.source import Source
from twofold.store.promql.values import (
    Answer,
    Floats,
    Ints,
    Kind,
    Samples,
    Scalar,
    Text,
    Value,
    Vector,
    Windows,
    nameless,
)
from twofold.store.promql.windows import latest, windows

_FAR_MS: Final = 1 << 53
_NUMBERED: Final = dict.fromkeys(("topk", "bottomk", "limitk"), "Parameter") | {"limit_ratio": "Ratio"}
_MANY: Final = (
    (native.VectorMatchCardinality.ManyToOne, "left"),
    (native.VectorMatchCardinality.OneToMany, "right"),
)


class Engine:
    """PromQL over a source. Thread-safe: a query's state is its own."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def instant(self, source: Source, query: str, time_ms: int) -> Answer:
        """The query at one moment.

        Raises:
            InputError: No PromQL, or one that cannot be evaluated (`reason="execution"`).
            TooLarge: Past a limit.
            TimedOut: Past the limit of time.
            Unsupported: PromQL that is not evaluated here.
        """
        tree = parse(query, self.limits)
        return self._answer(tree, source, np.array([time_ms], np.int64), time_ms, 0)

    def range(self, source: Source, query: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        """The query at start, start + step, … up to end. Raises as `instant`."""
        if step_ms <= 0:
            raise InputError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer",
                reason="step",
            )
        if end_ms < start_ms:
            raise InputError('invalid parameter "end": end timestamp must not be before start time', reason="window")
        if (end_ms - start_ms) // step_ms + 1 > self.limits.points:
            raise TooLarge(
                f"exceeded maximum resolution of {self.limits.points:,} points per timeseries. "
                "Try decreasing the query resolution (?step=XX)",
                reason="points",
                limit=self.limits.points,
            )
        tree = parse(query, self.limits)
        steps = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
        return self._answer(tree, source, steps, end_ms, step_ms)

    def _answer(self, tree: Any, source: Source, steps: Ints, end_ms: int, step_ms: int) -> Answer:
        account, instant = Account(self.limits), step_ms == 0
        run = Run(source, account, steps, int(steps[0]), end_ms, step_ms, {})
        try:
            value = run.value(tree)
        except RecursionError as error:
            raise TooLarge("query nests too deep", reason="query_depth") from error
        account.check()
        answer = partial(Answer, steps=steps, warnings=list(account.warnings), infos=list(account.infos))
        if isinstance(value, Vector):
            shown = value.shown()
            if not instant:
                order = sorted(range(len(shown)), key=shown.labels.__getitem__)
                shown = shown.take(order)
            return answer(kind=Kind.VECTOR if instant else Kind.MATRIX, vector=shown)
        if isinstance(value, Scalar):
            row = Vector([()], value.values[None, :], np.ones((1, len(steps)), bool))
            return answer(kind=Kind.SCALAR if instant else Kind.MATRIX, vector=row)
        if not instant:
            kind = "range vector" if isinstance(value, Windows) else "string"
            raise InputError(
                f'invalid parameter "query": invalid expression type "{kind}" for range query, '
                "must be Scalar or instant Vector",
                reason="type",
            )
        if isinstance(value, Windows):
            return answer(kind=Kind.MATRIX, samples=_within(value))
        return answer(kind=Kind.STRING, text=value.value)


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation: its steps, and the times that `@ start()` and `@ end()` mean."""

    source: Source
    account: Account
    steps: Ints
    start_ms: int
    end_ms: int
    step_ms: int
    read: dict[Any, Samples]

    def value(self, node: Any) -> Value:
        """What a node gives."""
        self.account.check()
        of = _NODES.get(type(node))
        if of is None:
            raise Unsupported(f"{type(node).__name__} is not supported")
        return of(self, node)

    def vector(self, node: Any) -> Vector:
        """What a node gives, that is an instant vector. Raises `InputError`."""
        value = self.value(node)
        if not isinstance(value, Vector):
            raise InputError("expected an instant vector", reason="type")
        return value

    def scalar(self, node: Any) -> Floats:
        """What a node gives, that is a scalar. Raises `InputError`."""
        value = self.value(node)
        if not isinstance(value, Scalar):
            raise InputError("expected a scalar", reason="type")
        return value.values

    def windows(self, node: Any) -> Windows:
        """What a node gives, that is a range vector. Raises `InputError`."""
        value = self.value(node)
        if not isinstance(value, Windows):
            raise InputError("expected a range vector", reason="type")
        return value

    def text(self, node: Any) -> str:
        """What a node gives, that is a string. Raises `InputError`."""
        value = self.value(node)
        if not isinstance(value, Text):
            raise InputError("expected a string", reason="type")
        return value.value

    def latest(self, node: Any) -> tuple[Vector, Ints]:
        """An instant selector's vector, and the times of its samples."""
        return self.newest(conditions(node), self._ends(node))

    def newest(self, wanted: Conditions, ends: Ints) -> tuple[Vector, Ints]:
        """The newest samples of what conditions select at these moments, one a step, and their times."""
        lookback = self.account.limits.lookback_ms
        samples = self._select(wanted, int(ends.min()) - lookback + 1, int(ends.max()))
        self.account.made(len(samples.labels), len(self.steps))
        return latest(samples, ends, lookback)

    def moments(self, node: Any) -> Ints:
        """The moments that the first selector of an expression looks at, one a step."""
        found: list[Any] = []
        _walk(node, found)
        steps = self.steps
        for each in found:
            steps = replace(self, steps=steps)._ends(each)  # noqa: SLF001 - of its own class
        return steps

    def selected(self, node: Any) -> Windows:
        """What a range selector gives."""
        range_ms = ms(node.range)
        ends = self._ends(node.vector_selector)
        wanted = conditions(node.vector_selector)
        samples = self._select(wanted, int(ends.min()) - range_ms + 1, int(ends.max()))
        self.account.made(len(samples.labels), len(self.steps))
        return windows(samples, ends, range_ms, self.steps)

    def _select(self, wanted: Conditions, start_ms: int, end_ms: int) -> Samples:
        """One read a selector and span of time, also when the query names it twice."""
        key = (wanted, start_ms, end_ms)
        if key not in self.read:
            self.read[key] = self.source.select(*key, self.account)
        return self.read[key]

    def _ends(self, node: Any) -> Ints:
        """The times that a selector or subquery looks at: its steps, or what `@` says, less the offset."""
        at = self.steps
        if node.at is not None:
            at = np.full(len(self.steps), self._at(node.at), np.int64)
        if node.offset is not None:
            at = at - ms(node.offset)
        if (np.abs(at) > _FAR_MS).any():
            raise InputError("a time is out of range", reason="execution")
        return at

    def _at(self, modifier: Any) -> int:
        if modifier.type == native.AtModifierType.Start:
            return self.start_ms
        if modifier.type == native.AtModifierType.End:
            return self.end_ms
        try:
            seconds: float = modifier.at.timestamp()
        except (OverflowError, ValueError) as error:
            raise InputError(f"timestamp out of bounds for @ modifier: {error}", reason="parse") from error
        return round(seconds * 1000)

    def subquery(self, node: Any) -> Windows:
        """An expression at steps of its own, as a range vector."""
        range_ms = ms(node.range)
        step = ms(node.step) if node.step else self.account.limits.subquery_step_ms
        ends = self._ends(node)
        start = (int(ends.min()) - range_ms) // step * step + step
        count = (int(ends.max()) - start) // step + 1
        self.account.made(1, count)
        steps = start + step * np.arange(max(0, count), dtype=np.int64)
        if not len(steps):
            return windows(
                _flat(Vector([], np.empty((0, 0)), np.empty((0, 0), bool)), steps), ends, range_ms, self.steps
            )
        value = replace(self, steps=steps).value(node.expr)
        if isinstance(value, Scalar):
            value = Vector([()], value.values[None, :], np.ones((1, count), bool))
        if not isinstance(value, Vector):
            raise InputError("a subquery is over an instant vector or a scalar", reason="type")
        shown = value.shown()
        self.account.made(len(shown), max(count, len(self.steps)))
        return windows(_flat(shown, steps), ends, range_ms, self.steps)

    def aggregation(self, node: Any) -> Vector:
        """What an aggregation gives."""
        op = str(node.op)
        modifier = node.modifier
        grouping = aggregate.Grouping(
            modifier.labels if modifier else (),
            without=bool(modifier) and modifier.type == native.AggModifierType.Without,
        )
        vector = self.vector(node.expr).shown()
        if op in aggregate.SIMPLE:
            return aggregate.aggregate(op, vector, grouping)
        if op == "count_values":
            return aggregate.count_values(vector, grouping, self.text(node.param))
        parameter = self.scalar(node.param)
        if op in _NUMBERED and np.isnan(parameter).any():
            raise InputError(f"{_NUMBERED[op]} value is NaN", reason="execution")
        match op:
            case "topk" | "bottomk":
                found = aggregate.extremes(vector, grouping, parameter, largest=op == "topk")
                return _ranked(found, largest=op == "topk", grouping=grouping) if len(self.steps) == 1 else found
            case "quantile":
                if ((parameter < 0) | (parameter > 1) | np.isnan(parameter)).any():
                    self.account.warn(f"quantile value should be between 0 and 1, got {parameter[0]:g}")
                return aggregate.quantile(vector, grouping, parameter)
            case "limitk":
                return aggregate.limited(vector, grouping, parameter)
            case "limit_ratio":
                if (np.abs(parameter) > 1).any():
                    self.account.warn(f"ratio value should be between -1 and 1, got {parameter[0]:g}")
                return aggregate.sampled(vector, parameter)
        raise Unsupported(f"aggregation {op} is not supported")

    def binary(self, node: Any) -> Value:
        """What an operator between two expressions gives."""
        op = str(node.op)
        modifier = node.modifier
        boolean = bool(modifier and modifier.return_bool)
        left, right = self.value(node.lhs), self.value(node.rhs)
        match left, right:
            case Scalar(), Scalar():
                return binary.scalars(op, left, right)
            case Vector(), Scalar():
                return binary.with_scalar(op, left, right, swapped=False, boolean=boolean)
            case Scalar(), Vector():
                return binary.with_scalar(op, right, left, swapped=True, boolean=boolean)
            case Vector(), Vector():
                how = _matching(modifier)
                if op in binary.SETS:
                    return binary.sets(op, left, right, how)
                return binary.vectors(op, left.shown(), right.shown(), how, boolean=boolean)
        raise InputError("binary expression must contain only scalar and instant vector types", reason="type")


def _matching(modifier: Any) -> binary.Matching:
    if modifier is None:
        return binary.Matching()
    labels = modifier.matching
    many = next((side for card, side in _MANY if card == modifier.card), "")
    fills = (modifier.fill_values.lhs, modifier.fill_values.rhs)
    left_fill, right_fill = reversed(fills) if many == "right" else fills  # as Prometheus's published tests have it
    return binary.Matching(
        names=labels.labels if labels else (),
        on=bool(labels) and labels.type == native.LabelModifierType.Include,
        many=many,
        include=modifier.group_labels or (),
        left_fill=left_fill,
        right_fill=right_fill,
    )


def _negated(value: Value) -> Value:
    if isinstance(value, Scalar):
        return Scalar(-value.values)
    if isinstance(value, Vector):
        return nameless(replace(value, values=-value.values))
    raise InputError("unary expression only allowed on expressions of type scalar or instant vector", reason="type")


def _ranked(found: Vector, *, largest: bool, grouping: aggregate.Grouping) -> Vector:
    """At one moment: group by group, best first."""
    shown = found.shown()
    key = -shown.values[:, 0] if largest else shown.values[:, 0]
    keys: dict[Any, int] = {}
    group = [keys.setdefault(grouping.key(labels), len(keys)) for labels in shown.labels]
    return shown.take(np.lexsort((key, np.isnan(key), np.array(group, np.int64))))


def _flat(vector: Vector, steps: Ints) -> Samples:
    """A vector's values as samples."""
    count = vector.present.sum(axis=1)
    times = np.broadcast_to(steps, vector.present.shape)[vector.present]
    return Samples(vector.labels, np.append(0, np.cumsum(count)), times, vector.values[vector.present])


def _within(found: Windows) -> Samples:
    """The samples of a range vector at one moment."""
    low, high = found.low[:, 0], found.high[:, 0]
    count = high - low
    some = np.flatnonzero(count)
    starts = np.append(0, np.cumsum(count[some]))
    index = np.repeat(low[some] - starts[:-1], count[some]) + np.arange(starts[-1])
    of = found.samples
    return Samples([of.labels[at] for at in some.tolist()], starts, of.times[index], of.values[index])


def _walk(node: Any, found: list[Any]) -> bool:
    """The subqueries on the way to an expression's first selector, and that; whether there is one."""
    looks = isinstance(node, native.VectorSelector | native.SubqueryExpr)
    if looks:
        found.append(node)
    if isinstance(node, native.VectorSelector) or any(_walk(each, found) for each in _inner(node)):
        return True
    if looks:
        found.pop()
    return False


def _inner(node: Any) -> Sequence[Any]:
    """The expressions that one is made of."""
    match node:
        case native.MatrixSelector():
            return (node.vector_selector,)
        case native.BinaryExpr():
            return (node.lhs, node.rhs)
        case native.Call():
            return tuple(node.args)
        case native.AggregateExpr() | native.ParenExpr() | native.UnaryExpr() | native.SubqueryExpr():
            return (node.expr,)
    return ()


_NODES: Final[dict[type, Callable[[Run, Any], Value]]] = {
    native.AggregateExpr: Run.aggregation,
    native.BinaryExpr: Run.binary,
    native.Call: call,
    native.MatrixSelector: Run.selected,
    native.NumberLiteral: lambda run, node: Scalar(np.full(len(run.steps), node.val)),
    native.ParenExpr: lambda run, node: run.value(node.expr),
    native.StringLiteral: lambda _, node: Text(node.val),
    native.SubqueryExpr: Run.subquery,
    native.UnaryExpr: lambda run, node: _negated(run.value(node.expr)),
    native.VectorSelector: lambda run, node: run.latest(node)[0],
}
