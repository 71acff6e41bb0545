"""Calls: each function's arguments evaluated as its kind wants them, and the table of all functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
import promql_parser as native

from twofold.errors import Unsupported
from twofold.store.promql import counters, histogram, info, over_time, relabel, trends
from twofold.store.promql.counters import Found
from twofold.store.promql.elementwise import CALENDAR, MATHS
from twofold.store.promql.form import number
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions, Op
from twofold.store.promql.parse import conditions
from twofold.store.promql.values import (
    NAME,
    Floats,
    Ints,
    Labels,
    Scalar,
    Value,
    Vector,
    Windows,
    make_labels,
    merged,
    nameless,
    nothing,
)

_COUNTER_ENDS: Final = ("_total", "_sum", "_count", "_bucket")
_DIGITS: Final = re.compile(r"(\d+)")


class Run(Protocol):
    """What a function asks of the evaluation that calls it; see `engine.Run`."""

    @property
    def steps(self) -> Ints:
        """Milliseconds, shape (T,)."""
        ...

    @property
    def start_ms(self) -> int:
        """Start of the whole query."""
        ...

    @property
    def end_ms(self) -> int:
        """End of the whole query."""
        ...

    @property
    def step_ms(self) -> int:
        """Between the steps of the whole query; 0 of an instant one."""
        ...

    @property
    def account(self) -> Account:
        """Bounds and annotations."""
        ...

    def vector(self, node: Any) -> Vector:
        """An instant vector."""
        ...

    def scalar(self, node: Any) -> Floats:
        """A scalar."""
        ...

    def windows(self, node: Any) -> Windows:
        """A range vector."""
        ...

    def text(self, node: Any) -> str:
        """A string."""
        ...

    def latest(self, node: Any) -> tuple[Vector, Ints]:
        """A selector's vector with the times of its samples."""
        ...

    def newest(self, wanted: Conditions, ends: Ints) -> tuple[Vector, Ints]:
        """The same of conditions, at moments of the caller's."""
        ...

    def moments(self, node: Any) -> Ints:
        """The moments that an expression's first selector looks at."""
        ...


def call(run: Run, node: Any) -> Value:
    """What a call gives.

    Raises:
        Unsupported: A function that is not here.
    """
    name, arguments = node.func.name, node.args
    if name in OVER_WINDOWS:
        found = run.windows(arguments[0])
        if name in _COUNTERS:
            _check_counters(run, found, name)
        return _over(found, OVER_WINDOWS[name](found), named=name in _NAMED)
    if name in MATHS:
        return _maths(run, name, arguments)
    if name in CALENDAR:
        return _calendar(run, name, arguments)
    if name in SPECIAL:
        return SPECIAL[name](run, arguments)
    raise Unsupported(f"function {name} is not supported")


def _over(found: Windows, result: Found, *, named: bool = False) -> Vector:
    vector = Vector(found.samples.labels, *result)
    return vector if named else nameless(vector)


def _check_counters(run: Run, found: Windows, name: str) -> None:
    """Tell of metrics that are likely no counters."""
    names = {dict(labels).get(NAME, "") for labels in found.samples.labels}
    for metric in sorted(names):
        if metric and not metric.endswith(_COUNTER_ENDS):
            run.account.inform(
                f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{metric}" ({name})'
            )


def _maths(run: Run, name: str, arguments: list[Any]) -> Vector:
    vector = run.vector(arguments[0])
    scalars = [run.scalar(each) for each in arguments[1:]]
    present = vector.present
    if name == "round" and not scalars:
        scalars = [np.ones(len(run.steps))]
    if name == "clamp":
        present = present & ~(scalars[0] > scalars[1])
    with np.errstate(all="ignore"):
        return nameless(Vector(vector.labels, MATHS[name](vector.values, *scalars), present))


def _calendar(run: Run, name: str, arguments: list[Any]) -> Vector:
    vector = run.vector(arguments[0]) if arguments else _one(run.steps / 1000)
    with np.errstate(all="ignore"):
        return nameless(Vector(vector.labels, CALENDAR[name](vector.values), vector.present))


def _one(values: Floats) -> Vector:
    """A vector of one series without labels."""
    return Vector([()], values[None, :], np.ones((1, len(values)), bool))


def _absent(run: Run, arguments: list[Any]) -> Vector:
    vector = run.vector(arguments[0])
    return Vector(
        [_asked(arguments[0])], np.ones((1, len(run.steps))), np.logical_not(vector.present.any(axis=0, keepdims=True))
    )


def _absent_over_time(run: Run, arguments: list[Any]) -> Vector:
    some = (run.windows(arguments[0]).count > 0).any(axis=0, keepdims=True)
    return Vector([_asked(arguments[0])], np.ones((1, len(run.steps))), np.logical_not(some))


def _asked(node: Any) -> Labels:
    """The labels that a selector asks for by equality, once each."""
    while isinstance(node, native.ParenExpr):
        node = node.expr
    if isinstance(node, native.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, native.VectorSelector):
        return ()
    found: dict[str, str] = {}
    twice = set()
    for matcher in conditions(node)[0]:
        if matcher.op is Op.EQUAL and matcher.name not in found and matcher.name not in twice:
            found[matcher.name] = matcher.value
        else:
            twice.add(matcher.name)
    return make_labels((name, value) for name, value in found.items() if name not in twice and name != NAME)


def _timestamp(run: Run, arguments: list[Any]) -> Vector:
    node = arguments[0]
    while isinstance(node, native.ParenExpr):
        node = node.expr
    if isinstance(node, native.VectorSelector):
        vector, times = run.latest(node)
        return nameless(replace(vector, values=times / 1000))
    vector = run.vector(node)
    return nameless(replace(vector, values=np.broadcast_to(run.steps / 1000, vector.values.shape)))


def _scalar(run: Run, arguments: list[Any]) -> Scalar:
    vector = run.vector(arguments[0])
    single = vector.present.sum(axis=0) == 1
    return Scalar(np.where(single, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))


def _sorted(run: Run, arguments: list[Any], *, down: bool) -> Vector:
    """By value; of an instant query only. NaN comes last."""
    vector = run.vector(arguments[0])
    if run.step_ms:
        return _unsorted(run, vector)
    shown = vector.shown()
    key = -shown.values[:, 0] if down else shown.values[:, 0]
    return shown.take(np.lexsort((key, np.isnan(key))))


def _sorted_by_label(run: Run, arguments: list[Any], *, down: bool) -> Vector:
    """By labels in natural order (`2` before `10`); of an instant query only."""
    vector = run.vector(arguments[0])
    if run.step_ms:
        return _unsorted(run, vector)
    names = [run.text(each) for each in arguments[1:]]

    def key(at: int) -> tuple[list[list[tuple[int, int | str]]], Labels]:
        labels = dict(vector.labels[at])
        return [_natural(labels.get(name, "")) for name in names], vector.labels[at]

    return vector.take(sorted(range(len(vector)), key=key, reverse=down))


def _unsorted(run: Run, vector: Vector) -> Vector:
    run.account.warn("sorting has no effect in a range query, whose answer is in the order of labels")
    return vector


def _natural(text: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in _DIGITS.split(text) if part]


def _same(run: Run, time_ms: int) -> Scalar:
    """Seconds that are the same at all steps."""
    return Scalar(np.full(len(run.steps), time_ms / 1000))


def _quantile_over_time(run: Run, arguments: list[Any]) -> Vector:
    q, found = run.scalar(arguments[0]), run.windows(arguments[1])
    if ((q < 0) | (q > 1) | np.isnan(q)).any():
        run.account.warn(f"quantile value should be between 0 and 1, got {q[0]:g}")
    return _over(found, over_time.quantile(found, q))


def _predict_linear(run: Run, arguments: list[Any]) -> Vector:
    found = run.windows(arguments[0])
    return _over(found, trends.predict(found, run.scalar(arguments[1])))


def _smooth(run: Run, arguments: list[Any]) -> Vector:
    found = run.windows(arguments[0])
    return _over(found, trends.smooth(found, run.scalar(arguments[1]), run.scalar(arguments[2])))


def _label_replace(run: Run, arguments: list[Any]) -> Vector:
    return relabel.label_replace(run.vector(arguments[0]), *(run.text(each) for each in arguments[1:5]))


def _label_join(run: Run, arguments: list[Any]) -> Vector:
    target, between, *sources = (run.text(each) for each in arguments[1:])
    return relabel.label_join(run.vector(arguments[0]), target, between, sources)


def _histogram_quantile(run: Run, arguments: list[Any]) -> Vector:
    return histogram.histogram_quantile(run.vector(arguments[1]).shown(), run.scalar(arguments[0]), run.account)


def _histogram_fraction(run: Run, arguments: list[Any]) -> Vector:
    low, high = (run.scalar(each) for each in arguments[:2])
    return histogram.histogram_fraction(run.vector(arguments[2]).shown(), low, high, run.account)


def _histogram_quantiles(run: Run, arguments: list[Any]) -> Vector:
    """A series for each quantile, told apart by a label."""
    vector, label = run.vector(arguments[0]).shown(), run.text(arguments[1])
    parts = []
    for each in arguments[2:]:
        q = run.scalar(each)
        found = histogram.histogram_quantile(vector, q, run.account)
        parts.append(relabel.label_replace(found, label, number(float(q[0])), "", ""))
    labels = [each for part in parts for each in part.labels]
    return merged(Vector(labels, np.vstack([p.values for p in parts]), np.vstack([p.present for p in parts])))


def _info(run: Run, arguments: list[Any]) -> Vector:
    base = run.vector(arguments[0]).shown()
    asked = info.wanted(conditions(arguments[1])[0] if len(arguments) > 1 else ())
    return info.described(base, *run.newest(asked.conditions, run.moments(arguments[0])), asked)


def _native(run: Run, arguments: list[Any]) -> Vector:
    """Of native histograms only, which are not kept: nothing, as Prometheus says of other samples."""
    run.vector(arguments[-1])
    return nothing(len(run.steps))


_COUNTERS: Final = frozenset({"rate", "increase", "irate"})
_NAMED: Final = frozenset({"last_over_time", "first_over_time"})

OVER_WINDOWS: Final[dict[str, Callable[[Windows], Found]]] = {
    **over_time.OVER_TIME,
    "changes": counters.changes,
    "delta": counters.delta,
    "deriv": trends.deriv,
    "idelta": counters.idelta,
    "increase": counters.increase,
    "irate": counters.irate,
    "rate": counters.rate,
    "resets": counters.resets,
}
"""Of a range vector alone."""

SPECIAL: Final[dict[str, Callable[[Run, list[Any]], Value]]] = {
    "absent": _absent,
    "end": lambda run, _: _same(run, run.end_ms),
    "absent_over_time": _absent_over_time,
    "double_exponential_smoothing": _smooth,
    "histogram_avg": _native,
    "histogram_count": _native,
    "histogram_fraction": _histogram_fraction,
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_stddev": _native,
    "histogram_stdvar": _native,
    "histogram_sum": _native,
    "holt_winters": _smooth,
    "info": _info,
    "label_join": _label_join,
    "label_replace": _label_replace,
    "max_of": lambda run, arguments: Scalar(np.maximum(*(run.scalar(each) for each in arguments))),
    "min_of": lambda run, arguments: Scalar(np.minimum(*(run.scalar(each) for each in arguments))),
    "pi": lambda run, _: Scalar(np.full(len(run.steps), np.pi)),
    "predict_linear": _predict_linear,
    "quantile_over_time": _quantile_over_time,
    "range": lambda run, _: _same(run, run.end_ms - run.start_ms),
    "scalar": _scalar,
    "sort": lambda run, arguments: _sorted(run, arguments, down=False),
    "sort_by_label": lambda run, arguments: _sorted_by_label(run, arguments, down=False),
    "sort_by_label_desc": lambda run, arguments: _sorted_by_label(run, arguments, down=True),
    "sort_desc": lambda run, arguments: _sorted(run, arguments, down=True),
    "start": lambda run, _: _same(run, run.start_ms),
    "step": lambda run, _: _same(run, run.step_ms),
    "time": lambda run, _: Scalar(run.steps / 1000),
    "timestamp": _timestamp,
    "vector": lambda run, arguments: _one(run.scalar(arguments[0])),
}
"""With arguments of their own."""
