"""Log lines to rates of errors and warnings per service, with lines kept as evidence.

Stands beside `red`, before the detector of series.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.aiops.detect.register import NO_SID, Registrar
from twofold.aiops.detect.windows import NEVER, Chunks, Int64s, WindowConfig
from twofold.errors import Corrupt
from twofold.flow.stage import Mine, State
from twofold.records.columns import DerivedSamples, Logs, Spans, samples_batch
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.example import LogExample
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series
from twofold.records.time import SECOND_NS
from twofold.stats.codes import present
from twofold.store.catalog import Catalog

WARN, ERROR = 13, 17  # OpenTelemetry SeverityNumber
METRICS: Final = (("log.error_rate", ERROR, 127), ("log.warn_rate", WARN, ERROR - 1))
_MOST_WINDOWS: Final = 1 << 20  # of one batch, counted in a table; a batch of more spread times is sorted

CHUNK: Final = pa.schema(
    [
        pa.field("entity", pa.int64()),
        pa.field("time_ns", pa.int64()),
        pa.field("severity", pa.int8()),  # 0: the row only says that the entity was there
        pa.field("body", pa.string()),
        pa.field("trace_id", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRateConfig:
    """Settings of the log series.

    Attributes:
        windows: Width and lateness of the windows.
        examples: Lines kept per entity and window, worst and then newest first.
        body_chars: A kept line is cut here.
        idle_s: An entity without a line or span for this long gets no more zero rates.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    examples: int = 3
    body_chars: int = 2000
    idle_s: float = 1800.0


class LogRate:
    """`log.error_rate` and `log.warn_rate` (1/s) per entity and window, and `LogExample` records.

    Severity 17 and up is an error, 13 to 16 a warning, 0 (unknown) neither. An entity known from logs or
    spans has rate 0 in a window in which anything arrived at all: so a service that never logged
    has a quiet past when its first error comes.

    Args:
        catalog: Gives out the sids.
        lane: Lane of the derived samples.
    """

    name: ClassVar[str] = "lograte"
    accepts: ClassVar[tuple[type, ...]] = (Logs, Spans)

    def __init__(
        self,
        catalog: Catalog,
        config: LogRateConfig | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        self._config = config or LogRateConfig()
        self._registrar = Registrar(catalog, tenant, Origin.LOG)
        self._tenant, self._lane = tenant, lane
        self._chunks = Chunks(self._config.windows, CHUNK)
        self._entities: dict[str, int] = {}
        self._sids: list[list[int]] = []
        self._seen_ns: list[int] = []

    @property
    def dropped(self) -> Counter[str]:
        """Rows too late for any window, and series that the catalog refused."""
        return Counter(late=self._chunks.late, cardinality=self._registrar.refused)

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Count lines into windows; gives nothing until a window closes."""
        for item in items:
            if isinstance(item, Logs):
                self._take(item.data)
            elif isinstance(item, Spans):
                self._present(self._number(item.data), item.data.column("start_ns").to_numpy())
        return ()

    def _take(self, data: pa.RecordBatch) -> None:
        severity = data.column("severity").to_numpy()
        entity, time_ns = self._number(data), data.column("time_ns").to_numpy()
        self._present(entity, time_ns)
        loud = np.flatnonzero(severity >= WARN)
        if len(loud):
            at = pa.array(loud)
            body, trace_id = data.column("body").take(at), data.column("trace_id").take(at)
            columns = [pa.array(entity[loud]), pa.array(time_ns[loud]), pa.array(severity[loud]), body, trace_id]
            self._chunks.add(time_ns[loud], pa.record_batch(columns, schema=CHUNK))

    def _present(self, entity: Int64s, time_ns: Int64s) -> None:
        """One silent row per entity and window."""
        if not len(entity):
            return
        width_ns = self._chunks.width_ns
        window = time_ns // width_ns
        first = int(window.min())
        windows = int(window.max()) - first + 1
        if windows > _MOST_WINDOWS:
            pairs = np.unique(np.stack([entity, window * width_ns]), axis=1)
        else:
            code = present(entity * windows + (window - first), len(self._entities) * windows)
            pairs = np.stack([code // windows, (code % windows + first) * width_ns])
        empty = pa.array([""] * pairs.shape[1])
        silent = pa.array(np.zeros(pairs.shape[1], np.int8))
        columns = [pa.array(pairs[0]), pa.array(pairs[1]), silent, empty, empty]
        self._chunks.add(pairs[1], pa.record_batch(columns, schema=CHUNK))

    def _number(self, data: pa.RecordBatch) -> Int64s:
        column = data.column("entity")
        numbers = np.empty(len(column.dictionary), np.int64)
        codes = column.indices.to_numpy()
        for code in np.unique(codes).tolist():
            name = column.dictionary[code].as_py()
            known = self._entities.get(name)
            if known is None:
                known = self._entities[name] = len(self._entities)
                self._sids.append([])
                self._seen_ns.append(NEVER)
            numbers[code] = known
        found: Int64s = numbers[codes]
        return found

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        made: list[object] = []
        for start_ns, chunk in self._chunks.close_until(watermark_ns):
            made.extend(self._close(start_ns, chunk))
        return made

    def _close(self, start_ns: int, chunk: pa.RecordBatch) -> list[object]:
        entity, severity = chunk.column("entity").to_numpy(), chunk.column("severity").to_numpy()
        for number in np.unique(entity).tolist():
            self._seen_ns[number] = start_ns
        idle_ns = start_ns - int(self._config.idle_s * SECOND_NS)
        active = [n for n, seen_ns in enumerate(self._seen_ns) if seen_ns > idle_ns]
        made: list[object] = []
        for number, name in enumerate(self._entities):
            if not self._sids[number] and number in active:
                made.extend(self._register(number, name))
        end_ns = start_ns + self._chunks.width_ns
        rates = np.stack([self._rate(entity[(severity >= low) & (severity <= high)]) for _, low, high in METRICS], 1)
        sids = np.array([self._sids[n] for n in active], np.int64)
        given = sids != NO_SID
        if given.any():
            data = samples_batch(sids[given], np.full(int(given.sum()), end_ns), rates[active][given])
            made.append(DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=end_ns))
        return made + self._examples(chunk, entity, severity)

    def _rate(self, entity: Int64s) -> npt.NDArray[np.float64]:
        return np.bincount(entity, minlength=len(self._entities)) / (self._chunks.width_ns / SECOND_NS)

    def _register(self, number: int, entity: str) -> list[Series]:
        new: list[Series] = []
        labels = {"entity": entity}  # makes the sids unlike any other entity's
        self._sids[number] = [self._registrar.register(metric, labels, new, entity=entity) for metric, _, _ in METRICS]
        return new

    def _examples(self, chunk: pa.RecordBatch, entity: Int64s, severity: npt.NDArray[np.int8]) -> list[object]:
        time_ns = chunk.column("time_ns").to_numpy()
        loud = np.flatnonzero(severity >= WARN)
        order = loud[np.lexsort((-time_ns[loud], -severity[loud].astype(np.int64), entity[loud]))]
        whose = entity[order]
        rank = np.arange(len(order)) - np.searchsorted(whose, whose)
        names = list(self._entities)
        return [
            LogExample(
                entity=names[int(entity[i])],
                time_ns=int(time_ns[i]),
                severity=int(severity[i]),
                body=chunk.column("body")[i].as_py()[: self._config.body_chars],
                trace_id=chunk.column("trace_id")[i].as_py(),
                tenant=self._tenant,
            )
            for i in order[rank < self._config.examples].tolist()
        ]

    def snapshot(self) -> State:
        """Entities with their sids and times, and the rows of open windows."""
        known = {"entities": list(self._entities), "sids": self._sids, "seen_ns": self._seen_ns}
        return {
            "entities": json.dumps(known).encode(),
            "refused": np.array([self._registrar.refused], np.int64),
            **self._chunks.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["entities"]))
            entities = {name: n for n, name in enumerate(known["entities"])}
            sids, seen_ns = [[int(s) for s in row] for row in known["sids"]], [int(t) for t in known["seen_ns"]]
            refused = int(np.asarray(state["refused"])[0])
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"log rates do not fit this version: {error!r}; replay the journal") from error
        self._chunks.restore(state)
        self._entities, self._sids, self._seen_ns, self._registrar.refused = entities, sids, seen_ns, refused

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        own = np.array([mine.entity(name) for name in self._entities], np.bool_)
        self._seen_ns = [seen_ns if kept else NEVER for seen_ns, kept in zip(self._seen_ns, own, strict=True)]
        self._chunks.keep("entity", own)
