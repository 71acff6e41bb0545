"""Findings about calls that operations no longer make, or have begun to make."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from twofold.aiops.detect.groups import OTHER, Groups
from twofold.aiops.detect.register import NO_SID, Registrar
from twofold.aiops.detect.traces.habits import DOWN, Change, HabitConfig, Habits
from twofold.aiops.detect.traces.pool import Closed, Pool
from twofold.aiops.detect.traces.times import Asked
from twofold.aiops.detect.words import bare, duration
from twofold.errors import Corrupt, DecodeError
from twofold.flow.stage import State
from twofold.records.codec import from_json, to_json
from twofold.records.columns import DerivedSamples, samples_batch
from twofold.records.event import Event
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind, sid_text
from twofold.records.time import to_datetime
from twofold.records.words import percent
from twofold.stats.traces.columns import trace_text
from twofold.store.catalog import Catalog

CALL_RATIO: Final = "span.call_ratio"
DETECTOR: Final = "calls@1"
_MOST_CHANGES: Final = 200
_NEAR: Final = timedelta(minutes=15)
_STRONG: Final = 9.0  # effect of a call that is missing where nobody changed anything: may open an incident alone
_WEAK: Final = 2.0
_LN10: Final = 2.302585


class Shapes:
    """Learns the calls of each operation and tells when they change, with the change event that came before.

    Requests that fail are left out: what they did not get to is no news. A finding of a missing call is strong; after
    a deploy of the caller or callee it is weak, because it was most likely meant. New calls harm nobody.

    Attributes:
        refused: Calls and series that were not taken.
    """

    def __init__(self, catalog: Catalog, tenant: str, config: HabitConfig, lane: Lane) -> None:
        self._registrar = Registrar(catalog, tenant, Origin.SPAN)
        self._tenant, self._lane = tenant, lane
        self._habits = Habits(config)
        self._changes: deque[Event] = deque(maxlen=_MOST_CHANGES)
        self._sids: dict[tuple[int, int], int] = {}
        self._told: dict[str, str] = {}  # finding to its example

    @property
    def refused(self) -> int:
        """Calls not told apart, and series not taken."""
        return self._registrar.refused + self._habits.refused

    def note(self, event: Event) -> None:
        """A change happened."""
        self._changes.append(event)

    def close(self, closed: Closed, calls: Asked, groups: Groups, pool: Pool, end_ns: int) -> list[object]:
        """Findings that begin or end with this window, and the share of requests that make each changed call."""
        visits = closed.visits
        fine = ~visits.error
        known, counts = np.unique(visits.group[fine], return_counts=True)
        requests = dict(zip(known.tolist(), counts.tolist(), strict=True))
        good = fine[calls.visit]
        group, callee = visits.group[calls.visit[good]], calls.callee[good]
        code, times = np.unique(group << 32 | callee, return_counts=True)
        made = {(c >> 32, c & 0xFFFFFFFF): n for c, n in zip(code.tolist(), times.tolist(), strict=True)}
        unnamed = {group for group, callee in made if not callee}
        named = {key: count for key, count in made.items() if key[1] and groups.all[key[0]].operation != OTHER}
        excused = self._excused(requests, unnamed, closed, groups, pool)
        found: list[object] = []
        for change in self._habits.close(requests, named, excused, end_ns):
            found.extend(self._tell(change, closed, calls, groups, pool, end_ns))
        return found + self._samples(requests, made, end_ns)

    def _excused(
        self, requests: dict[int, int], unnamed: set[int], closed: Closed, groups: Groups, pool: Pool
    ) -> set[tuple[int, int]]:
        """Calls that may have been made: some have no name, or their spans came apart from the request's."""
        if not unnamed and not len(closed.loose):
            return set()
        return {
            (group, callee)
            for group, callee in self._habits.keys
            if group in requests
            and (group in unnamed or pool.is_loose(closed.loose, groups.all[group].entity, pool.names[callee]))
        }

    def _tell(
        self, change: Change, closed: Closed, calls: Asked, groups: Groups, pool: Pool, end_ns: int
    ) -> Sequence[object]:
        who, callee = groups.all[change.group], pool.names[change.callee]
        row, made = self._series(change, who.labels() | {"callee": callee}, who.entity)
        parts = (self._tenant, "calls", who.entity, who.kind, who.operation, callee, str(change.onset_ns))
        key = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
        example = self._told.pop(key, "") if change.ended else _example(change, closed, calls)
        if not change.ended:
            self._told[key] = example
        near = self._near(change.onset_ns, who.entity, callee)
        down = change.side == DOWN
        finding = Finding(
            id=key,
            entity=who.entity,
            series=sid_text(max(row, 0)),
            metric=CALL_RATIO,
            onset=to_datetime(change.onset_ns),
            seen=to_datetime(end_ns),
            score=round(min(change.evidence / _LN10, 12.0), 3),
            effect=(-1.0 if down else 1.0) * (_WEAK if near else _STRONG),
            value=change.share,
            expected=change.usual,
            low=change.usual / 5 if down else 0.0,
            high=1.0 if down else min(change.usual * 5, 1.0),
            direction=Direction.DOWN if down else Direction.UP,
            detector=DETECTOR,
            reason=_reason(change, f"{bare(who.entity)} ({who.operation})", bare(callee), near),
            state=FindingState.CLOSED if change.ended else FindingState.OPEN,
            unit="1",
            labels_text=f"{who.operation} calls {bare(callee)}",
            trace_id=example,
            tenant=self._tenant,
        )
        return [*made, finding]

    def _samples(self, requests: dict[int, int], made: dict[tuple[int, int], int], end_ns: int) -> list[object]:
        """The share of requests that make each call that was ever told of."""
        rows = [
            (sid, made.get((group, callee), 0) / requests[group])
            for (group, callee), sid in self._sids.items()
            if sid != NO_SID and group in requests
        ]
        if not rows:
            return []
        sid, share = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows])
        data = samples_batch(sid, np.full(len(rows), end_ns), share)
        return [DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=end_ns)]

    def _series(self, change: Change, labels: dict[str, str], entity: str) -> tuple[int, list[object]]:
        number = change.group, change.callee
        if number in self._sids:
            return self._sids[number], []
        new: list[Series] = []
        sid = self._registrar.register(CALL_RATIO, labels, new, entity=entity, unit="1", kind=SeriesKind.GAUGE)
        self._sids[number] = sid
        return sid, [*new]

    def _near(self, onset_ns: int, *entities: str) -> str:
        """The last change of one of these before the onset, in words."""
        onset = to_datetime(onset_ns)
        near = [each for each in self._changes if each.entity in entities and -_NEAR / 15 <= onset - each.time <= _NEAR]
        if not near:
            return ""
        last = max(near, key=lambda each: (each.time, each.id))
        word = last.change.value.replace("_", " ") if last.change else "change"
        what = f"{word} of {bare(last.entity)} {last.version or last.title}".strip()
        before_s = (onset - last.time).total_seconds()
        return f"{what} {duration(before_s)} before" if before_s >= 1 else f"with the {what}"

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Habits, changes and what was told."""
        known = {
            "changes": to_json(list(self._changes)),
            "sids": [[*key, sid] for key, sid in self._sids.items()],
            "told": self._told,
            "refused": self._registrar.refused,
        }
        return {**self._habits.snapshot(), "shapes": orjson.dumps(known)}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            known: Any = orjson.loads(bytes(state["shapes"]))
            changes = deque((from_json(Event, each) for each in known["changes"]), maxlen=_MOST_CHANGES)
            sids = {(int(group), int(callee)): int(sid) for group, callee, sid in known["sids"]}
            told = {str(key): str(trace) for key, trace in known["told"].items()}
            refused = int(known["refused"])
        except (KeyError, TypeError, ValueError, AttributeError, DecodeError) as error:
            raise Corrupt(f"shapes of requests do not fit this version: {error!r}; replay the journal") from error
        self._habits.restore(state)
        self._changes, self._sids, self._told, self._registrar.refused = changes, sids, told, refused

    def unlearn(self, callees: npt.NDArray[np.bool_]) -> None:
        """See `Habits.unlearn`."""
        self._habits.unlearn(callees)


def _example(change: Change, closed: Closed, calls: Asked) -> str:
    """Trace of a request of this window that shows the change, the slowest one."""
    visits = closed.visits
    makes = np.zeros(len(visits.row), np.bool_)
    makes[calls.visit[calls.callee == change.callee]] = True
    shows = (visits.group == change.group) & ~visits.error & (makes != (change.side == DOWN))
    rows = visits.row[shows]
    rows = rows[(closed.rows.high[rows] != 0) | (closed.rows.low[rows] != 0)]
    if not len(rows):
        return ""
    lasts = closed.rows.end_ns[rows] - closed.rows.start_ns[rows]
    best = int(rows[np.argmax(lasts)])
    return trace_text(int(closed.rows.high[best]), int(closed.rows.low[best]))


def _reason(change: Change, who: str, callee: str, near: str) -> str:
    after = f", {near}" if near else ", with no change of either near"
    since = f"{to_datetime(change.onset_ns):%H:%M:%S}"
    if change.ended == "back":
        return f"{who} calls {callee} as usual again, in {percent(change.usual)} of its requests"
    if change.ended:
        return f"new habit: {who} has called {callee} in {percent(change.share)} of {change.requests} requests"
    usually = percent(change.usual) if change.usual >= 0.01 or not change.usual else "less than 1 %"  # noqa: PLR2004 - a whole percent
    if change.side == DOWN:
        seen = f"{percent(change.share)} of {change.requests} requests that succeeded"
        return f"{who} calls {callee} in {seen} since {since}, usually in {usually}{after}"
    first = "never did before" if not change.usual else f"usually in {usually}"
    return (
        f"{who} calls {callee} in {percent(change.share)} of {change.requests} requests since {since}, {first}{after}"
    )
