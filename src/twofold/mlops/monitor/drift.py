"""Predictions to series: drift of inputs and outputs, rate, latency and mean of every served version.

Stands between ingest and the detector of series, so a drifting model is found like a slow service.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import ConfigError, Corrupt, InputError
from twofold.flow.stage import Mine, State
from twofold.mlops.monitor.tally import FAILED, REQUESTS, ROWS, SUM, Tally, latency_s
from twofold.records.columns import DerivedSamples, Predictions, samples_batch
from twofold.records.entity import DEFAULT_TENANT, EntityKind, entity_id
from twofold.records.frame import Lane
from twofold.records.model import ReleaseStage
from twofold.records.profile import Profile
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog

MAX_VERSIONS: Final = 1000
NEVER: Final = -(1 << 62)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftConfig:
    """Windows of the model series.

    Attributes:
        window_s: One sample each.
        grace_s: A window closes this long after the watermark passed its end. As that of the span series,
            so that derived windows of all stages come in order.
        fold_s: A row that is late by no more than this counts in the oldest open window.
        span_s: Drift is measured over the newest windows of this length …
        min_rows: … and over older ones too, until there are as many rows; with fewer there is no drift sample.
        reach_s: How far back that may go. A version without rows for as long is forgotten.
    """

    window_s: float = 10.0
    grace_s: float = 3.0
    fold_s: float = 30.0
    span_s: float = 60.0
    min_rows: int = 200
    reach_s: float = 600.0

    def __post_init__(self) -> None:
        if not 0 < self.window_s <= self.span_s <= self.reach_s or self.min_rows < 1:
            raise ConfigError(
                f"window_s {self.window_s} <= span_s {self.span_s} <= reach_s {self.reach_s} and min_rows "
                f"{self.min_rows} >= 1 must hold"
            )


class DriftStage:
    """Series of every live and canary version, labels `model` and `version`; shadows answer nobody and are left out.

    `model.drift.psi` (label `feature`, entity the feature), and of the model: `model.output.psi` (label
    `output`), `model.prediction.mean` (of the first output), `model.request_rate` (1/s), `model.error_ratio`,
    `model.latency.p95` (s). The sample at time t covers the rows in [t - window, t); drift goes further back.
    A window without any prediction says nothing, because it looks the same when our own input stops.

    Args:
        catalog: Gives out the sids.
        profile: The reference of a version, or None; asked once per version.
        config: See `DriftConfig`.
        tenant: Whose predictions.
        lane: Lane of the derived samples.

    Attributes:
        dropped: Rows and series that count nowhere, by reason.
    """

    name: ClassVar[str] = "drift"
    accepts: ClassVar[tuple[type, ...]] = (Predictions,)

    def __init__(
        self,
        catalog: Catalog,
        profile: Callable[[str, str], Profile | None],
        config: DriftConfig | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        self._config = config or DriftConfig()
        self._catalog, self._profile = catalog, profile
        self._tenant, self._lane = tenant, lane
        self._width_ns = int(self._config.window_s * SECOND_NS)
        self._closed_ns = NEVER
        self._tallies: dict[Key, Tally] = {}
        self._sids: dict[tuple[str, str, str, str], int] = {}
        self.dropped: Counter[str] = Counter()

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Count rows; gives nothing until a window closes."""
        for item in items:
            if isinstance(item, Predictions) and item.data.num_rows:
                self._take(item.data)
        return ()

    def _take(self, data: pa.RecordBatch) -> None:
        time_ns = data.column("time_ns").to_numpy()
        start_ns = np.maximum(time_ns // self._width_ns * self._width_ns, self._closed_ns)
        on_time = start_ns - time_ns <= int(self._config.fold_s * SECOND_NS)
        self.dropped["late"] += int(len(on_time) - on_time.sum())
        answered = pc.not_equal(data.column("stage").cast(pa.string()), ReleaseStage.SHADOW.value)
        keep = on_time & answered.to_numpy(zero_copy_only=False)
        model, version = (data.column(name) for name in ("model", "version"))
        code = model.indices.to_numpy().astype(np.int64) * len(version.dictionary) + version.indices.to_numpy()
        for one in np.unique(code[keep]).tolist():
            mine = keep & (code == one)
            which = int(np.flatnonzero(mine)[0])
            key = (model[which].as_py(), version[which].as_py())
            if key not in self._tallies:
                if len(self._tallies) >= MAX_VERSIONS:
                    self.dropped["versions"] += int(mine.sum())
                    continue
                self._tallies[key] = Tally(self._profile(*key))
            rows = data if mine.all() else data.filter(pa.array(mine))
            tally = self._tallies[key]
            misfits = tally.add(start_ns[mine], rows)
            self.dropped["no_profile" if tally.profile is None else "shape"] += misfits

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        limit_ns = (watermark_ns - int(self._config.grace_s * SECOND_NS)) // self._width_ns * self._width_ns
        if limit_ns <= self._closed_ns:
            return ()
        starts = {start for tally in self._tallies.values() for start in tally.windows}
        made: list[object] = []
        for start in sorted(start for start in starts if self._closed_ns <= start < limit_ns):
            made.extend(self._close(start))
        self._closed_ns = limit_ns
        reach_ns = int(self._config.reach_s * SECOND_NS)
        for key, tally in list(self._tallies.items()):
            tally.forget(limit_ns - reach_ns)
            if not tally.windows:
                del self._tallies[key]
        return made

    def _close(self, start_ns: int) -> list[object]:
        end_ns = start_ns + self._width_ns
        made: list[object] = []
        sids: list[int] = []
        values: list[float] = []
        for (model, version), tally in sorted(self._tallies.items()):
            for metric, entity, name, value in self._values(model, tally, start_ns):
                sid, new = self._sid(metric, entity, {"model": model, "version": version}, name)
                made.extend(new)
                if sid is not None:
                    sids.append(sid)
                    values.append(value)
        if sids:
            data = samples_batch(np.array(sids), np.full(len(sids), end_ns), np.array(values))
            made.append(DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=end_ns))
        return made

    def _values(self, model: str, tally: Tally, start_ns: int) -> Iterator[tuple[str, str, str, float]]:
        """(metric, entity, feature or output, value) of one version in one window."""
        entity = entity_id(EntityKind.MODEL, model)
        vector = tally.total([start_ns])
        yield "model.request_rate", entity, "", vector[REQUESTS] / self._config.window_s
        if not vector[ROWS]:
            return
        yield "model.error_ratio", entity, "", vector[FAILED] / vector[ROWS]
        yield "model.latency.p95", entity, "", latency_s(vector, 0.95)
        if answered := vector[ROWS] - vector[FAILED]:
            yield "model.prediction.mean", entity, "", vector[SUM] / answered
        span = self._span(tally, start_ns)
        if tally.profile is None or span[ROWS] < self._config.min_rows:
            return
        drift = tally.drift(span).tolist()
        for index, one in enumerate(tally.columns):
            if index < tally.inputs:
                feature = entity_id(EntityKind.FEATURE, f"{model}/{one.name}")
                yield "model.drift.psi", feature, one.name, drift[index]
            elif span[ROWS] - span[FAILED] >= self._config.min_rows:
                yield "model.output.psi", entity, one.name, drift[index]

    def _span(self, tally: Tally, start_ns: int) -> npt.NDArray[np.float64]:
        """The newest windows that make up the span, or more until there are enough rows."""
        oldest_ns = start_ns + self._width_ns - int(self._config.span_s * SECOND_NS)
        reach_ns = start_ns + self._width_ns - int(self._config.reach_s * SECOND_NS)
        total = np.zeros(tally.width)
        for start in sorted((start for start in tally.windows if reach_ns <= start <= start_ns), reverse=True):
            if start < oldest_ns and total[ROWS] >= self._config.min_rows:
                break
            total += tally.windows[start]
        return total

    def _sid(self, metric: str, entity: str, labels: dict[str, str], name: str) -> tuple[int | None, list[Series]]:
        """The series' sid, or None when the catalog refuses it; and its definition, when new."""
        key = (metric, labels["model"], labels["version"], name)
        if key in self._sids:
            return self._sids[key], []
        if name:
            labels = {**labels, ("feature" if metric == "model.drift.psi" else "output"): name}
        unit = {"model.latency.p95": "s", "model.request_rate": "1/s"}.get(metric, "1")
        kind = SeriesKind.RATE if metric == "model.request_rate" else SeriesKind.GAUGE
        try:
            sid, new = self._catalog.register(
                metric, labels, entity=entity, tenant=self._tenant, unit=unit, kind=kind, origin=Origin.MODEL
            )
        except InputError as error:
            self.dropped[error.reason] += 1
            return None, []
        self._sids[key] = sid
        return sid, [self._catalog.get(sid, tenant=self._tenant)] if new else []

    def snapshot(self) -> State:
        """Windows of every version as matrices."""
        keys = sorted(self._tallies)
        state: dict[str, npt.NDArray[np.generic] | bytes] = {
            "versions": json.dumps(keys).encode(),
            "closed": np.array([self._closed_ns, self._width_ns], dtype=np.int64),
        }
        for index, key in enumerate(keys):
            state[f"starts{index}"], state[f"counts{index}"] = self._tallies[key].matrix()
        return state

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            keys = [(str(model), str(version)) for model, version in json.loads(bytes(state["versions"]))]
            closed_ns, width_ns = np.asarray(state["closed"]).tolist()
            tallies = {key: Tally(self._profile(*key)) for key in keys}
            for index, key in enumerate(keys):
                starts = np.asarray(state[f"starts{index}"], dtype=np.int64)
                tallies[key].take(starts, np.asarray(state[f"counts{index}"], dtype=np.float64))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"counts of predictions do not fit this version: {error!r}; replay the journal") from error
        if width_ns != self._width_ns:
            raise Corrupt(f"counts are of windows of {width_ns} ns, now {self._width_ns}; replay the journal")
        self._closed_ns, self._tallies = closed_ns, tallies

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        own = (key for key in self._tallies if mine.entity(entity_id(EntityKind.MODEL, key[0])))
        self._tallies = {key: self._tallies[key] for key in own}
