"""Gates: typed tests that a version must pass, declared in `twofold.yaml`, each giving one `GateResult`.

    - {gate: schema}
    - {gate: metric, metric: roc_auc, min: 0.72}
    - {gate: slice, metric: roc_auc, column: price, parts: 3, min: 0.62}
    - {gate: robustness, noise: 0.05, max_change: 0.05}
    - {gate: latency, p99_ms: 20}
    - {gate: not_worse_than_live, metric: roc_auc, margin: 0.01}

A gate is a frozen dataclass: its fields are its keys in the file, its docstring is its documentation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from twofold.errors import ConfigError
from twofold.mlops.formats import Predictor
from twofold.mlops.metrics import LOWER_IS_BETTER, METRICS
from twofold.records.model import Field, GateResult

LEAST_SLICE: Final = 30
LATENCY_CALLS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What gates look at: a candidate, the live version where there is one, and rows nobody trained on.

    Attributes:
        inputs: Shape (n, k), in declared order; numbers as float64, objects when text is among them.
        truth: Shape (n,), or None where the project declares no label.
        metrics: Metrics that the project's own `evaluate` gave.
    """

    candidate: Predictor
    live: Predictor | None
    fields: Sequence[Field]
    outputs: Sequence[Field]
    inputs: npt.NDArray[Any]
    truth: npt.NDArray[np.float64] | None
    metrics: Mapping[str, float]


class Gate(Protocol):
    """One test."""

    def check(self, judged: Judged) -> GateResult:
        """Judge; a test that cannot be made has not been passed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Outputs come as declared: their number, one row each, all finite."""

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        outputs = judged.candidate.predict(judged.inputs)
        wanted = (len(judged.inputs), len(judged.outputs))
        broken = int(np.count_nonzero(~np.isfinite(outputs)))
        passed = outputs.shape == wanted and not broken
        text = f"outputs have shape {outputs.shape}, declared is {wanted}; {broken} values are not finite"
        return GateResult(name="schema", passed=passed, value=float(broken), limit=0.0, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric on the holdout is at least `min`, or at most `max`. Takes the project's own metrics too."""

    metric: str
    min: float = -math.inf
    max: float = math.inf

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        value = judged.metrics.get(self.metric, math.nan)
        if self.metric in METRICS and judged.truth is not None:
            value = METRICS[self.metric](judged.truth, judged.candidate.predict(judged.inputs)[:, 0])
        return _bounded(f"metric {self.metric}", f"{self.metric} on {len(judged.inputs)} held-out rows", value, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The metric holds in the worst part of the rows, cut by quantiles of `column` (by value, for text)."""

    metric: str
    column: str
    parts: int = 4
    min: float = -math.inf
    max: float = math.inf

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        name = f"slice {self.metric} by {self.column}"
        names = [field.name for field in judged.fields]
        if self.column not in names or self.metric not in METRICS or judged.truth is None:
            text = (
                f"cannot slice {self.metric} by {self.column}: needs a label, a known metric and an input of that name"
            )
            return GateResult(name=name, passed=False, value=math.nan, limit=_limit(self), text=text)
        predicted = judged.candidate.predict(judged.inputs)[:, 0]
        sign = -1 if self.metric in LOWER_IS_BETTER else 1
        found = []
        for label, rows in _parts(judged.inputs[:, names.index(self.column)], self.parts):
            value = METRICS[self.metric](judged.truth[rows], predicted[rows])
            if rows.sum() >= LEAST_SLICE and math.isfinite(value):
                found.append((sign * value, value, label, int(rows.sum())))
        if not found:
            text = f"no part of {self.column} has {LEAST_SLICE} rows of both kinds"
            return GateResult(name=name, passed=False, value=math.nan, limit=_limit(self), text=text)
        _, value, label, count = min(found)
        return _bounded(name, f"worst {self.metric} is where {self.column} {label} ({count} rows)", value, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """Small noise on the numbers changes outputs little: mean absolute change at most `max_change`.

    `noise` is the deviation of the noise as a share of each input's own deviation. Text stays as it is.
    """

    noise: float = 0.05
    max_change: float = 0.05
    seed: int = 0

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        shaken = judged.inputs.copy()
        random = np.random.default_rng(self.seed)
        for index, field in enumerate(judged.fields):
            if field.datatype in {"FP64", "FP32"}:
                column = judged.inputs[:, index].astype(np.float64)
                shaken[:, index] = column + random.normal(0, self.noise * column.std() or 0.0, len(column))
        change = float(np.mean(np.abs(judged.candidate.predict(shaken) - judged.candidate.predict(judged.inputs))))
        what = f"noise of {self.noise:.0%} of each input's deviation changes outputs by {change:.4g} on average"
        text = f"{what}, limit {self.max_change:g}"
        return GateResult(
            name="robustness", passed=change <= self.max_change, value=change, limit=self.max_change, text=text
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One row is answered within `p99_ms` of processor time at the 99th percentile.

    Processor time of the process, so a busy machine does not fail a good model.
    """

    p99_ms: float

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        rows = [judged.inputs[index : index + 1] for index in range(min(50, len(judged.inputs)))]
        judged.candidate.predict(rows[0])
        taken = np.empty(LATENCY_CALLS)
        for index in range(LATENCY_CALLS):
            start = time.process_time_ns()
            judged.candidate.predict(rows[index % len(rows)])
            taken[index] = time.process_time_ns() - start
        value = float(np.quantile(taken, 0.99)) / 1e6
        text = f"99 of 100 single rows take at most {value:.2f} ms, limit {self.p99_ms:g} ms"
        return GateResult(name="latency", passed=value <= self.p99_ms, value=value, limit=self.p99_ms, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWorseThanLive:
    """The metric is at most `margin` worse than the live version's on the same rows. Passes when none is live."""

    metric: str
    margin: float = 0.0

    def check(self, judged: Judged) -> GateResult:
        """See `Gate.check`."""
        name = f"not worse than live by {self.metric}"
        if judged.live is None:
            return GateResult(name=name, passed=True, value=0.0, limit=self.margin, text="no version is live yet")
        if self.metric not in METRICS or judged.truth is None:
            text = f"cannot compare {self.metric}: needs a label and a known metric"
            return GateResult(name=name, passed=False, value=math.nan, limit=self.margin, text=text)
        function = METRICS[self.metric]
        own = function(judged.truth, judged.candidate.predict(judged.inputs)[:, 0])
        live = function(judged.truth, judged.live.predict(judged.inputs)[:, 0])
        worse = own - live if self.metric in LOWER_IS_BETTER else live - own
        text = (
            f"{self.metric} {own:.4f}, live has {live:.4f} on the same rows; at most {self.margin:g} worse is allowed"
        )
        return GateResult(name=name, passed=worse <= self.margin, value=worse, limit=self.margin, text=text)


GATES: Final[dict[str, type[Any]]] = {
    "schema": Schema,
    "metric": Metric,
    "slice": Slice,
    "robustness": Robustness,
    "latency": Latency,
    "not_worse_than_live": NotWorseThanLive,
}


def gates(declared: Sequence[Mapping[str, Any]]) -> list[Gate]:
    """Gates as declared in `twofold.yaml`.

    Raises:
        ConfigError: An unknown gate or key, a missing key, or a value of the wrong type.
    """
    made = []
    for entry in declared:
        name = str(entry.get("gate"))
        if name not in GATES:
            raise ConfigError(f"gate {name!r} is unknown; known are {', '.join(GATES)}", gate=name)
        kind = GATES[name]
        given = {key: value for key, value in entry.items() if key != "gate"}
        hints = {field.name: field.type for field in fields(kind)}
        for key, value in given.items():
            if key not in hints:
                raise ConfigError(f"gate {name}: {key!r} is unknown; known are {', '.join(hints) or 'none'}", gate=name)
            if not isinstance(value, str if hints[key] == "str" else int | float) or isinstance(value, bool):
                raise ConfigError(f"gate {name}: {key} is {value!r}, which is no {hints[key]}", gate=name, key=key)
        try:
            made.append(kind(**given))
        except TypeError as error:
            raise ConfigError(f"gate {name}: {error}", gate=name) from error
    return made


def _limit(gate: Metric | Slice) -> float:
    return gate.min if math.isfinite(gate.min) else gate.max


def _bounded(name: str, what: str, value: float, gate: Metric | Slice) -> GateResult:
    passed = gate.min <= value <= gate.max  # NaN fails
    wanted = [f"at least {gate.min:g}"] if math.isfinite(gate.min) else []
    wanted += [f"at most {gate.max:g}"] if math.isfinite(gate.max) else []
    text = f"{what} is {value:.4f}, wanted {' and '.join(wanted) or 'any number'}"
    return GateResult(name=name, passed=passed, value=value, limit=_limit(gate), text=text)


def _parts(column: npt.NDArray[Any], parts: int) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    if column.dtype == object and not all(isinstance(value, int | float) for value in column[:1]):
        return [(f"is {value}", column == value) for value in sorted(set(column.tolist()))]
    values = column.astype(np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, parts + 1)))
    if len(edges) < 2:  # noqa: PLR2004 - two ends make one part
        return [(f"is {edges[0]:g}", np.ones(len(values), dtype=bool))]
    index = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    return [(f"is {edges[part]:g} to {edges[part + 1]:g}", index == part) for part in range(len(edges) - 1)]
