"""Log lines to a rate per template, and to events for templates never seen before.

Stands beside `lograte`, before the detector of series: a template that spikes, vanishes or begins to err is a finding
of its rate's series.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import orjson
import pyarrow as pa

from twofold.aiops.detect.mining import state as states
from twofold.aiops.detect.mining.miner import Fresh, Miner, MinerConfig
from twofold.aiops.detect.mining.rates import RateConfig, Rates, tallied
from twofold.aiops.detect.mining.values import Odd, Values, ValuesConfig
from twofold.aiops.detect.windows import WindowConfig, Windows
from twofold.errors import Corrupt
from twofold.flow.stage import Mine, State
from twofold.records.columns import DerivedSamples, Logs
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.event import Event, EventKind
from twofold.records.example import LogExample
from twofold.records.frame import Lane
from twofold.records.template import LogTemplate, TemplateUse
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.text.words import Int64s
from twofold.store.catalog import Catalog

_EXAMPLE_CHARS: Final = 2000
ERROR: Final = 17  # OpenTelemetry SeverityNumber
_ROW: Final = 5  # entity, template, lines, errors, highest severity
_ERROR_WORDS: Final = re.compile(
    r"\b(error|fatal|critical|panic|exception|traceback|failed|failure|segfault|abort(ed)?)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningConfig:
    """Settings of the stage.

    Attributes:
        windows: Width and lateness of the windows.
        miner: What is a value, and bounds.
        rates: Which templates get a series.
        values: When a value in a line is odd.
        warm_lines: New templates are told after so many lines: at first everything is new.
        events_per_window: New templates told between two windows; the others are counted.
        title_chars: A title is cut here.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    miner: MinerConfig = field(default_factory=MinerConfig)
    rates: RateConfig = field(default_factory=RateConfig)
    values: ValuesConfig = field(default_factory=ValuesConfig)
    warm_lines: int = 5000
    events_per_window: int = 20
    title_chars: int = 200


class Mining:
    """`log.template_rate` (1/s) per entity and template, `log.rare_error_rate` per entity, and new templates as events.

    An error is a line of severity 17 and up, or one of unknown severity whose template speaks of an error. A template
    that is mostly errors has a `log.template_error_rate` in the place of the other: that it falls harms nobody. A rare
    error is one whose template the entity has hardly ever, or only just, begun to write. A value far from
    what its place in the template ever held is an event too, and its line an example.

    Args:
        catalog: Gives out the sids.
        lane: Lane of the derived samples; only the live one tells of new templates.
    """

    name: ClassVar[str] = "mining"
    accepts: ClassVar[tuple[type, ...]] = (Logs,)

    def __init__(
        self,
        catalog: Catalog,
        config: MiningConfig | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        self._config = config or MiningConfig()
        self._catalog, self.tenant, self._lane = catalog, tenant, lane
        self._lock = threading.Lock()
        self._windows = Windows(self._config.windows)
        self._open: dict[int, list[Int64s]] = {}
        self._entities: dict[str, int] = {}
        self._told = 0
        self._late = 0
        self._untold = 0
        self._new_miner()

    def _new_miner(self) -> None:
        self.miner = Miner(self._config.miner)
        self._values = Values(self._config.values)
        self._rates = Rates(self._catalog, self._config.rates, tenant=self.tenant, settle=self.miner.book.settle)

    @property
    def dropped(self) -> Counter[str]:
        """Lines too late for any window, series that the catalog refused, what is new or odd past the limits."""
        untold = self._untold + self._values.untold
        return Counter(late=self._late, cardinality=self._rates.refused, untold=untold)

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Mine the lines and count them into windows; gives events for new templates."""
        made: list[object] = []
        with self._lock:
            for item in items:
                if isinstance(item, Logs) and item.data.num_rows:
                    made.extend(self._take(item.data))
        return made

    def templates(self) -> list[LogTemplate]:
        """What is known of each template that an entity has written, for who asks from another thread."""
        with self._lock:
            uses: dict[int, list[TemplateUse]] = defaultdict(list)
            for identity, use in self._rates.uses():
                uses[identity].append(use)
            book = self.miner.book
            return [
                LogTemplate(
                    id=f"{identity:016x}",
                    text=book.templates[identity].text(),
                    example=book.templates[identity].line(),
                    forms=tuple(dict.fromkeys(form.pattern() for form in book.forms[identity])),
                    uses=tuple(found),
                    tenant=self.tenant,
                )
                for identity, found in uses.items()
                if identity in book.templates
            ]

    def _take(self, data: pa.RecordBatch) -> list[object]:
        before = self.miner.lines
        body = _bytes(data.column("body"))
        templates = self.miner.feed(*body)
        entity = self._number(data)
        severity = data.column("severity").to_numpy()
        odd = self._values.feed(*body, templates, severity)
        self._count(data.column("time_ns").to_numpy(), entity, templates, severity, self._errors(severity, templates))
        if self._lane is not Lane.LIVE:
            return []
        made: list[object] = [
            event
            for fresh in self.miner.fresh
            if before + fresh.line >= self._config.warm_lines and (event := self._event(data, fresh)) is not None
        ]
        for each in odd:
            made += self._odd(data, each, int(templates[each.line]))
        return made

    def _errors(self, severity: np.ndarray, templates: Int64s) -> np.ndarray:
        """Which lines are errors."""
        found = severity >= ERROR
        unknown = severity == 0
        if unknown.any():
            loud = [each for each in np.unique(templates[unknown]).tolist() if self._speaks_of_error(each)]
            found |= unknown & np.isin(templates, loud)
        return found

    def _speaks_of_error(self, identity: int) -> bool:
        template = self.miner.book.templates.get(self.miner.book.settle(identity))
        return template is not None and _ERROR_WORDS.search(template.text()) is not None

    def _count(
        self, time_ns: Int64s, entity: Int64s, templates: Int64s, severity: np.ndarray, errors: np.ndarray
    ) -> None:
        start_ns, keep = self._windows.place(time_ns)
        self._late += int(len(keep) - keep.sum())
        known, number = np.unique(templates, return_inverse=True)
        starts, window = np.unique(start_ns, return_inverse=True)
        code = ((window * len(self._entities) + entity) * len(known) + number)[keep]
        found, inverse, lines = np.unique(code, return_inverse=True, return_counts=True)
        loud = np.bincount(inverse, weights=errors[keep], minlength=len(found)).astype(np.int64)
        worst = np.zeros(len(found), np.int64)
        np.maximum.at(worst, inverse, severity[keep].astype(np.int64))
        rest, which = np.divmod(found, len(known))
        place, who = np.divmod(rest, max(len(self._entities), 1))
        rows = np.stack([who, known[which], lines, loud, worst], axis=1).astype(np.int64)
        for at in np.unique(place).tolist():
            self._open.setdefault(int(starts[at]), []).append(rows[place == at])

    def _number(self, data: pa.RecordBatch) -> Int64s:
        column = data.column("entity")
        codes = column.indices.to_numpy()
        numbers = np.empty(len(column.dictionary), np.int64)
        for code in np.unique(codes).tolist():
            name = column.dictionary[code].as_py()
            numbers[code] = self._entities.setdefault(name, len(self._entities))
        found: Int64s = numbers[codes]
        return found

    def _event(self, data: pa.RecordBatch, fresh: Fresh) -> Event | None:
        if self._told >= self._config.events_per_window:
            self._untold += 1
            return None
        self._told += 1
        entity = data.column("entity")[fresh.line].as_py()
        template = f"{fresh.id:016x}"
        key = f"{self.tenant}\x1f{EventKind.NEW_TEMPLATE.value}\x1f{entity}\x1f{template}"
        return Event(
            id=hashlib.sha256(key.encode()).hexdigest()[:32],
            kind=EventKind.NEW_TEMPLATE,
            time=to_datetime(int(data.column("time_ns")[fresh.line].as_py())),
            entity=entity,
            title=f"new log line: {fresh.text}"[: self._config.title_chars],
            tenant=self.tenant,
            source="twofold",
            attributes={
                "template": template,
                "severity": str(data.column("severity")[fresh.line].as_py()),
                "example": data.column("body")[fresh.line].as_py()[: self._config.title_chars],
            },
        )

    def _odd(self, data: pa.RecordBatch, odd: Odd, identity: int) -> list[object]:
        """An odd value as an event, and its line as evidence."""
        row = {name: data.column(name)[odd.line].as_py() for name in ("entity", "time_ns", "severity", "trace_id")}
        body, why = data.column("body")[odd.line].as_py(), f"{odd.text}, usually {odd.usual}"
        template = self.miner.book.templates.get(self.miner.book.settle(identity))
        parts = (self.tenant, EventKind.ODD_VALUE.value, row["entity"], str(row["time_ns"]), body[:200], why)
        key = "\x1f".join(parts)
        cut = self._config.title_chars
        attributes = {
            "template": f"{identity:016x}",
            "severity": str(row["severity"]),
            "example": body[:cut],
            "value": odd.text,
            "usual": odd.usual,
            "trace_id": row["trace_id"],
        }
        event = Event(
            id=hashlib.sha256(key.encode()).hexdigest()[:32],
            kind=EventKind.ODD_VALUE,
            time=to_datetime(row["time_ns"]),
            entity=row["entity"],
            title=f"odd value {why}, in: {template.text() if template else body}"[:cut],
            tenant=self.tenant,
            source="twofold",
            attributes={name: text for name, text in attributes.items() if text},
        )
        return [event, LogExample(**row, body=body[:_EXAMPLE_CHARS], why=why, tenant=self.tenant)]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        limit_ns = self._windows.close_until(watermark_ns)
        made: list[object] = []
        with self._lock:
            for start_ns in sorted(start for start in self._open if start < limit_ns):
                made.extend(self._close(start_ns, tallied(self._open.pop(start_ns))))
                self._told = 0
        return made

    def _close(self, start_ns: int, rows: Int64s) -> list[object]:
        names = list(self._entities)
        end_ns, width_s = start_ns + self._windows.width_ns, self._windows.width_ns / SECOND_NS
        counts = ((names[who], *rest) for who, *rest in rows.tolist())
        series, data = self._rates.close(counts, end_ns, width_s)
        made: list[object] = [*series]
        if data is not None:
            made.append(DerivedSamples(data=data, tenant=self.tenant, lane=self._lane, window_ns=end_ns))
        return made

    def snapshot(self) -> State:
        """The miner, the rates and the counts of open windows."""
        starts = sorted(self._open)
        rows = [tallied(self._open[start]) for start in starts]
        told = {
            "entities": list(self._entities),
            "rates": self._rates.plain(),
            "counts": [self._told, self._late, self._untold, self._windows.closed_ns],
            "windows": [[start, len(each)] for start, each in zip(starts, rows, strict=True)],
        }
        open_rows = np.concatenate(rows) if rows else np.zeros((0, _ROW), np.int64)
        return {
            **states.snapshot(self.miner),
            **self._values.snapshot(),
            "stage": orjson.dumps(told),
            "rows": open_rows,
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        with self._lock:
            self._restore(state)

    def _restore(self, state: State) -> None:
        try:
            told = orjson.loads(bytes(state["stage"]))
            rows = _rows(state)
            cuts = np.cumsum([size for _, size in told["windows"]])
            self._new_miner()
            states.restore(self.miner, state)
            self._values.restore(state)
            self._rates.resume(told["rates"])
            self._entities = {name: n for n, name in enumerate(told["entities"])}
            self._told, self._late, self._untold, self._windows.closed_ns = told["counts"]
            parts = np.split(rows, cuts[:-1]) if len(cuts) else []
            self._open = {start: [part] for (start, _), part in zip(told["windows"], parts, strict=True)}
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"template rates do not fit this version: {error!r}; replay the journal") from error

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`. What is known of templates, and of the values in them, every partition may know."""
        own = np.array([mine.entity(name) for name in self._entities], np.bool_)
        with self._lock:
            self._rates.keep(mine.entity)
            kept = {start: [rows[own[rows[:, 0]]] for rows in parts] for start, parts in self._open.items()}
            self._open = {start: parts for start, parts in kept.items() if any(len(rows) for rows in parts)}


def _bytes(column: pa.StringArray) -> tuple[np.ndarray, Int64s]:
    """Bytes of a text column, and where each row begins and ends in them, without a copy of the bytes."""
    _, offsets, data = column.buffers()
    edges = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(data or b"", np.uint8), edges


def _rows(state: State) -> Int64s:
    """Counts of open windows, one after the other. Raises `ValueError` for rows of another version."""
    rows: Int64s = np.array(state["rows"], np.int64)
    if rows.shape[1:] != (_ROW,):
        raise ValueError(f"counts of windows have shape {rows.shape}, not (n, {_ROW})")
    return rows
