"""The detector of series: one vectorised panel over all series of a partition. Samples in, findings out.

Stands behind the stages that derive series (spans, logs, drift) and before grouping. The
mathematics is `stats.series.panel`; this file knows what a series is and what a finding says.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect import move, words
from twofold.aiops.detect.absence import Absence, Silence
from twofold.aiops.detect.bands import Band, band_of, basis_of
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import floor_of, kind_of, sides_of
from twofold.aiops.detect.inherit import Heirs
from twofold.aiops.detect.lasting import BEGINS, ENDS, Ends, Lasting, direction_of, reason_of
from twofold.aiops.detect.table import Table
from twofold.errors import Corrupt, NotFound
from twofold.flow.stage import Mine, State
from twofold.records.columns import Samples
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Origin, Series, sid_text
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.series.layout import IGNORED, NEW_LEVEL, OPENED, SWINGS
from twofold.stats.series.quiet import NOT_WATCHED
from twofold.store.catalog import Catalog

WORSE: Final = 1.1  # an effect this many times the one told is worth telling again
LOST_PERIODS: Final = 10
ABSENT_SCORE: Final = 6.0  # a regular series missing this long is no chance; not measured like the others

Event = Mapping[str, Any] | npt.NDArray[Any]
Explain = Callable[[Series, int], str]
"""What else is known of why a series left its band at that time; empty when nothing is."""


class Panel:
    """Finds samples that leave the band their own series' past gives them.

    Suits many series of any rhythm from a second to an hour: levels, daily and weekly seasons or a period that a
    series shows by itself, counters, ratios, quantised and constant values. Says nothing in the first minutes of a
    series, and knows a week after three. Fails where the normal state changes often and abruptly, and on
    habits of months.

    Args:
        catalog: Tells what a sid is.
        config: What the released version consists of.
        detector: `name@version` of the release, written into every finding.
        explain: Asked when a finding is told; what it says is added to the reason.

    Attributes:
        unknown: Samples of sids that the catalog does not know; judged as plain gauges of no entity.
    """

    name: ClassVar[str] = "panel"
    accepts: ClassVar[tuple[type, ...]] = (Samples,)

    def __init__(
        self,
        catalog: Catalog,
        config: PanelConfig | None = None,
        *,
        detector: str = "panel@0",
        tenant: str = DEFAULT_TENANT,
        explain: Explain | None = None,
    ) -> None:
        self._explain = explain
        self.config = config or PanelConfig()
        self.detector = detector
        self.unknown = 0
        self._catalog, self._tenant = catalog, tenant
        self._table = Table(self.config)
        self._absence = Absence(self.config)
        self._heirs = Heirs()
        self._entities: dict[str, int] = {}
        self._entity: npt.NDArray[np.int32] = np.full(256, NOT_WATCHED, np.int32)
        self._told: dict[int, tuple[int, float]] = {}
        self._lasting = Lasting()
        self._unheard: dict[int, tuple[int, int]] = {}  # newest sample and entity of series that came with a history

    def __len__(self) -> int:
        """Series known."""
        return len(self._table)

    @property
    def dropped(self) -> Counter[str]:
        """Samples that were not judged, by reason."""
        return self._table.unused

    @property
    def bytes_per_series(self) -> int:
        """State of one series."""
        return self._table.bytes_per_series

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Judge and learn samples; gives findings that open or close."""
        made: list[object] = []
        for item in items:
            if isinstance(item, Samples):
                _, events = self._learn(item, ranked=False)
                made.extend(found for event in events if (found := self._finding_of(event)) is not None)
        return made

    def score(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Score and learn, without findings: the rank of each sample among those of all series, 0 where not judged."""
        return self._learn(samples, ranked=True)[0]

    def _learn(self, samples: Samples, *, ranked: bool) -> tuple[npt.NDArray[np.float32], Sequence[npt.NDArray[Any]]]:
        sid, time_ns, value = samples.columns()
        before = len(self._table)
        at = self._table.locate(sid)
        for row in range(before, len(self._table)):
            self._meet(row)
        return self._table.learn(at, time_ns, value, ranked=ranked)

    def _meet(self, row: int) -> None:
        series = self._series(row)
        self._describe(row, series)
        if row >= len(self._entity):
            self._entity = np.concatenate([self._entity, np.full(len(self._entity), NOT_WATCHED, np.int32)])
        if series.entity and series.origin is Origin.METRIC and kind_of(series) != IGNORED:
            self._entity[row] = self._entities.setdefault(series.entity, len(self._entities))
        self._table.rows["donor"][row] = self._heirs.donor(row, series) + 1
        if not series.metric:
            self.unknown += 1

    def _describe(self, row: int, series: Series) -> None:
        floor = floor_of(series).times(self.config.floor_factor(series.metric))
        self._table.describe(row, kind=kind_of(series), sides=sides_of(series), floor=floor)

    def _series(self, row: int) -> Series:
        sid = int(self._table.sids[row])
        try:
            return self._catalog.get(sid, tenant=self._tenant)
        except NotFound:
            return Series(sid=sid, metric="", tenant=self._tenant)

    def band(self, sid: int) -> Band | None:
        """Where the series is expected at its newest sample; None while that is not known."""
        row = self._table.find(sid)
        if row < 0:
            return None
        found = self._table.rows[row]
        return band_of(found, int(found["last_ns"]), warm_points=self.config.warm_points)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Tell open findings that got worse, close those without data, and miss entities that fell silent."""
        self._hear()
        made: list[object] = [*self._updates(watermark_ns), *self._lost(watermark_ns)]
        used = len(self._table)
        for begins, silence in self._absence.check(self._table.used, self._entity[:used], watermark_ns):
            made.append(self._absent(silence, watermark_ns, begins=begins))
        return made

    def _updates(self, watermark_ns: int) -> Iterator[Finding]:
        for row, (told_ns, effect) in list(self._told.items()):
            waited_s = (watermark_ns - told_ns) / SECOND_NS
            worse = abs(float(self._table.rows["worst_effect"][row])) > WORSE * effect
            if (worse and waited_s >= self.config.update_s) or waited_s >= self.config.heartbeat_s:
                finding = self._finding(row, _event_of(self._table.rows[row], row))
                self._told[row] = (watermark_ns, abs(finding.effect))
                yield finding
        for event in self._lasting.again(self._table.rows["last_ns"], self.config.heartbeat_s):
            yield self._goes_on(event)

    def _lost(self, watermark_ns: int) -> Iterator[Finding]:
        for row in list(self._told):
            if self._quiet(row, watermark_ns):
                r = self._table.rows[row]
                event = _event_of(r, row)
                lasted_s = (int(r["last_ns"]) - int(event["onset_ns"])) / SECOND_NS
                reason = words.no_more_data(self._series(row), lasted_s)
                yield replace(self._finding(row, event), state=FindingState.CLOSED, reason=reason)
                self._table.settle(row)
                del self._told[row]
        for kept in self._lasting.lost(lambda row: self._quiet(row, watermark_ns)):
            yield self._goes_on(kept, ends=words.no_more_data)

    def _quiet(self, row: int, watermark_ns: int) -> bool:
        r = self._table.rows[row]
        quiet_s = (watermark_ns - int(r["last_ns"])) / SECOND_NS
        return quiet_s > max(self.config.heartbeat_s, LOST_PERIODS * float(r["period_s"]))

    def _finding_of(self, event: Event) -> Finding | None:
        """The finding of an opening or closing; None when nothing was told of what ends."""
        row, what = int(event["row"]), int(event["what"])
        if what in BEGINS:
            return self._goes_on(self._lasting.begin(event))
        if what in ENDS:
            ended = self._lasting.end(event)
            return None if ended is None else self._goes_on(ended[0], ends=ended[1])
        finding = self._finding(row, event)
        if what == OPENED:
            self._told[row] = (int(event["time_ns"]), abs(finding.effect))
            return finding
        self._told.pop(row, None)
        tell = words.new_level if what == NEW_LEVEL else words.recovered
        lasted_s = (event["time_ns"] - event["onset_ns"]) / SECOND_NS
        reason = tell(self._series(row), float(event["now"]), float(lasted_s))
        reason = self._with_more(reason, "; at its worst ", self._series(row), int(event["onset_ns"]))
        return replace(finding, state=FindingState.CLOSED, reason=reason)

    def _with_more(self, reason: str, link: str, series: Series, onset_ns: int) -> str:
        more = self._explain(series, onset_ns) if self._explain else ""
        return f"{reason}{link}{more}" if more else reason

    def _finding(self, row: int, event: Event) -> Finding:
        series = self._series(row)
        onset_ns = int(event["onset_ns"])
        onset = to_datetime(onset_ns)
        value, expected, margin = (float(event[name]) for name in ("value", "expected", "margin"))
        reason = words.left_band(series, value, expected, onset, int(event["basis"]))
        return Finding(
            id=self._id(sid_text(series.sid), onset_ns),
            entity=series.entity,
            series=sid_text(series.sid),
            metric=series.metric,
            onset=onset,
            seen=to_datetime(int(event["time_ns"])),
            score=round(float(event["score"]), 3),
            effect=round(float(event["effect"]), 3),
            value=value,
            expected=expected,
            low=expected - margin,
            high=expected + margin,
            direction=Direction.UP if event["side"] > 0 else Direction.DOWN,
            detector=self.detector,
            reason=self._with_more(reason, "; ", series, onset_ns),
            unit=words.unit_of(series),
            labels_text=words.labels_text(series.labels),
            tenant=self._tenant,
        )

    def _goes_on(self, event: Mapping[str, Any], *, ends: Ends | None = None) -> Finding:
        """A series that stands still, or swings otherwise than it does; `ends` says why that is over."""
        row = int(event["row"])
        series, finding = self._series(row), self._finding(row, event)
        subject = f"{sid_text(series.sid)}:swings" if event["what"] == SWINGS else sid_text(series.sid)
        lasted_s = (int(event["time_ns"]) - int(event["onset_ns"])) / SECOND_NS
        return replace(
            finding,
            id=self._id(subject, int(event["onset_ns"])),
            score=finding.score or ABSENT_SCORE,
            direction=direction_of(event),
            reason=ends(series, lasted_s) if ends else reason_of(series, event),
            state=FindingState.CLOSED if ends else FindingState.OPEN,
        )

    def _absent(self, silence: Silence, watermark_ns: int, *, begins: bool) -> Finding:
        series = self._series(silence.row)
        onset = to_datetime(silence.onset_ns)
        quiet_s = (watermark_ns - silence.onset_ns) / SECOND_NS
        about = f"all {silence.series} series of" if silence.whole else f"{silence.series} of the series of"
        missed = words.silent(series, about, onset, silence.period_s)
        return Finding(
            id=self._id(f"absent:{series.entity}", silence.onset_ns),
            entity=series.entity,
            series=sid_text(series.sid),
            metric=series.metric,
            onset=onset,
            seen=to_datetime(watermark_ns),
            score=ABSENT_SCORE,
            effect=-round(quiet_s / max(silence.period_s, 1.0), 1),
            value=0.0,
            expected=0.0,
            low=0.0,
            high=0.0,
            direction=Direction.ABSENT,
            detector=self.detector,
            reason=missed if begins else words.heard_again(series, quiet_s),
            state=FindingState.OPEN if begins else FindingState.CLOSED,
            unit=words.unit_of(series),
            labels_text="",
            tenant=self._tenant,
        )

    def _id(self, subject: str, onset_ns: int) -> str:
        """Deterministic in tenant, detector name, subject and onset; a new version finds the same finding."""
        name = self.detector.partition("@")[0]
        text = f"{self._tenant}\x1f{name}\x1f{subject}\x1f{onset_ns}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def snapshot(self) -> State:
        """Rows, entities, silences, and what was told of open findings."""
        return {**self._table.snapshot(), **self._known()}

    def lend(self) -> State:
        """`snapshot` that shares the rows, which are most of it."""
        return {**self._table.lend(), **self._known()}

    def _known(self) -> State:
        known = {
            "entities": list(self._entities),
            "told": [[row, told_ns, effect] for row, (told_ns, effect) in self._told.items()],
            "lasting": self._lasting.snapshot(),
            "unheard": [[row, *each] for row, each in self._unheard.items()],
            "unknown": self.unknown,
            "config": self.config.sha256,
        }
        return {
            "entity": self._entity[: len(self._table)].copy(),
            "absence": self._absence.snapshot(),
            "panel": json.dumps(known).encode(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave; floors are set anew when the state was another version's.

        Raises:
            Corrupt: Not the state of a panel, or of one with rows of another layout.
        """
        try:
            known = json.loads(bytes(state["panel"]))
            entities = {str(name): n for n, name in enumerate(known["entities"])}
            told = {int(row): (int(told_ns), float(effect)) for row, told_ns, effect in known["told"]}
            lasting = Lasting.restored(known["lasting"])
            unheard = {int(row): (int(last_ns), int(number)) for row, last_ns, number in known["unheard"]}
            unknown, config = int(known["unknown"]), str(known["config"])
            entity = np.array(state["entity"], np.int32)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"panel state does not fit this version: {error!r}; replay the journal") from error
        self._table.restore(state)
        self._absence.restore(state)
        self._heirs.restore(lambda: ((row, self._series(row)) for row in range(len(self._table))))
        self._entities, self._told, self._lasting, self.unknown = entities, told, lasting, unknown
        self._unheard = unheard
        self._entity = np.full(max(256, len(entity)), NOT_WATCHED, np.int32)
        self._entity[: len(entity)] = entity
        if config != self.config.sha256:
            for row in range(len(self._table)):
                self._describe(row, self._series(row))

    def covered_by(self, older: State) -> float:
        """See `flow.stage.Adopts`. What is told here must end here: 0 while anything is."""
        if self._told or self._lasting.told:
            return 0.0
        known = np.isin(self._table.sids, np.asarray(older["sids"], np.int64))
        return float(known.mean()) if len(known) else 1.0

    def adopt(self, older: State) -> None:
        """See `flow.stage.Adopts`. An entity that only the older state knows is missed once it has been heard here."""
        before = len(self._table)
        taken = self._table.adopt(older, {*self._told, *(row for row, _ in self._lasting.told)})
        for row in range(before, len(self._table)):
            self._meet(row)
            if self._entity[row] != NOT_WATCHED:
                self._unheard[row] = (int(self._table.rows["last_ns"][row]), int(self._entity[row]))
                self._entity[row] = NOT_WATCHED
        self._table.rows["donor"][taken] = 0
        for row in taken.tolist():
            self._describe(row, self._series(row))

    def _hear(self) -> None:
        """Watch series that came with somebody's history, from when they are heard."""
        for row, (last_ns, entity) in list(self._unheard.items()):
            if self._table.rows["last_ns"][row] > last_ns:
                self._entity[row] = entity
                del self._unheard[row]

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        self.restore(move.panel_of(self.lend(), mine.sids(self._table.sids), self._table.rows.dtype))


def _event_of(row: Any, number: int) -> Event:
    """What the kernel would say of an open finding now."""
    return {
        "row": number,
        "time_ns": row["last_ns"],
        "onset_ns": row["leave_ns"],
        "score": row["worst_score"],
        "value": row["worst_value"] + row["zero"],
        "expected": row["worst_expected"] + row["zero"],
        "margin": row["worst_margin"],
        "effect": row["worst_effect"],
        "side": row["side"],
        "basis": basis_of(row),
    }
