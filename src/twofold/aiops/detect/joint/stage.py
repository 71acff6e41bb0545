"""The detector of whole entities: what moved together, and which coupled series parted. Samples in, findings out.

Stands behind the detector of series. It sees what no series tells alone: many small moves at once, and one that did
not go where its partner went. The mathematics is `stats.joint`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect import move
from twofold.aiops.detect.floors import floor_of, kind_of
from twofold.aiops.detect.joint import words
from twofold.aiops.detect.joint.bars import Bars
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.members import Members
from twofold.aiops.detect.words import labels_text, unit_of
from twofold.errors import Corrupt, NotFound
from twofold.flow.stage import Mine, State
from twofold.records.codec import from_json, to_json
from twofold.records.columns import Samples
from twofold.records.entity import DEFAULT_TENANT, Edge, Relation
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Series, sid_text
from twofold.records.signal import harmful
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.joint import layout
from twofold.stats.joint.learn import learn
from twofold.stats.series.layout import IGNORED
from twofold.store.catalog import Catalog

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Chunk = tuple[npt.NDArray[np.int32], Int64s, Float64s]
SPARE: Final = 64  # events that fit beside those of one tick
SPREADS: Final = 4.0  # usual sizes that a band spans to each side
LAYOUT: Final = repr([layout.SERIES.descr, layout.PAIR.descr, layout.ENTITY.descr])


class Joint:
    """Finds entities of which many series move at once, and pairs of series that stop going together.

    Suits entities with at least a handful of series of one rhythm. What is told needs one series that moved by what
    matters to somebody, to a side that hurts. Says nothing in the first hour of an entity. Fails where series move
    together only rarely, and on slow leaks: levels follow within minutes.

    Args:
        catalog: Tells what a sid is.
        config: Budget and memories.
        detector: `name@version`, written into every finding.

    Attributes:
        late: Samples of ticks that were over.
        quiet: Findings not told, by reason.
    """

    name: ClassVar[str] = "joint"
    accepts: ClassVar[tuple[type, ...]] = (Samples, Edge)

    def __init__(
        self,
        catalog: Catalog,
        config: JointConfig | None = None,
        *,
        detector: str = "joint@1",
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self.config = config or JointConfig()
        self.detector = detector
        self.late = 0
        self.quiet: Counter[str] = Counter()
        self._catalog, self._tenant = catalog, tenant
        self._params = self.config.params()
        self._members = Members(self.config.max_ring, apart=self.config.apart)
        self._pending: list[Chunk] = []
        self._next_ns = 0  # the first tick that is not over
        self._told: dict[tuple[int, int], Finding] = {}
        self._bars = Bars(self.config.alerts_per_day)

    def __len__(self) -> int:
        """Series known."""
        return len(self._members)

    @property
    def dropped(self) -> Counter[str]:
        """Samples that were not judged, by reason."""
        return Counter(late=self.late) if self.late else Counter()

    @property
    def bytes_per_series(self) -> int:
        """State of one series, without the spare rows of growth."""
        return layout.SERIES.itemsize + (layout.PAIR.itemsize if self.config.apart else 0) + 8 + 2 * 4

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Keep samples until their tick is over, and learn who calls whom."""
        for item in items:
            if isinstance(item, Samples):
                self._hold(item)
            elif isinstance(item, Edge) and item.relation is Relation.CALLS and self.config.apart:
                self._members.link(item.source, item.target)
        return []

    def _hold(self, samples: Samples) -> None:
        sid, time_ns, value = samples.columns()
        before = len(self._members)
        at = self._members.locate(sid)
        for row in range(before, len(self._members)):
            series = self._series(row)
            if series.entity and kind_of(series) != IGNORED:
                self._members.describe(row, entity=series.entity, kind=kind_of(series))
        if len(at) and self.config.apart:
            self._bars.meet(len(self._members.names), float(time_ns.max()) / SECOND_NS)
        if len(at) and int(time_ns.max()) < self._next_ns:
            self.late += len(at)
        elif len(at):
            self._pending.append((at, time_ns, value))

    def _series(self, row: int) -> Series:
        sid = int(self._members.sids[row])
        try:
            return self._catalog.get(sid, tenant=self._tenant)
        except NotFound:
            return Series(sid=sid, metric="", tenant=self._tenant)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Judge every tick that is over."""
        tick_ns = self.config.tick_ns
        over_ns = watermark_ns // tick_ns * tick_ns
        if over_ns <= self._next_ns:
            return []
        made = list(self._judge(self._due(over_ns)))
        self._next_ns = over_ns
        return [*made, *self._ended(over_ns // tick_ns)]

    def _due(self, over_ns: int) -> Chunk:
        """Samples of the ticks that are over, in the order of ticks; the others wait on."""
        due: list[Chunk] = []
        wait: list[Chunk] = []
        for chunk in self._pending:
            first_ns, last_ns = int(chunk[1].min()), int(chunk[1].max())
            if first_ns >= over_ns:
                wait.append(chunk)
            elif last_ns < over_ns and first_ns >= self._next_ns:
                due.append(chunk)
            else:
                late, early = chunk[1] < self._next_ns, chunk[1] >= over_ns
                self.late += int(late.sum())
                due.append(_picked(chunk, ~(late | early)))
                wait.append(_picked(chunk, early))
        self._pending = [chunk for chunk in wait if len(chunk[0])]
        found = _joined(due)
        tick = found[1] // self.config.tick_ns
        return _picked(found, np.argsort(tick, kind="stable")) if (tick[1:] < tick[:-1]).any() else found

    def _judge(self, samples: Chunk) -> Iterator[Finding]:
        members = self._members
        state = members.series, members.pairs, members.entities
        walk, done = members.rings(), 0
        while done < len(samples[0]):
            events = np.zeros(len(members.entities) + len(members.pairs) + SPARE, layout.EVENT)  # rarely touched
            done, written = learn(state, samples, walk, self.config.tick_ns, self._params, done, events)
            for event in events[:written]:
                yield from self._tell(event)

    def _tell(self, event: npt.NDArray[Any]) -> Iterator[Finding]:
        kind, row = int(event["kind"]), int(event["row"][0])
        if kind == layout.TOGETHER and not self.config.together:
            return
        key = (kind, int(event["entity"]) if kind == layout.TOGETHER else row)
        seen_ns = (int(event["tick"]) + 1) * self.config.tick_ns
        if event["what"] == layout.CLOSED:
            told = self._told.pop(key, None)
            if told is not None:
                yield self._closed(key, told, seen_ns)
            return
        if key not in self._told and not self._may_open(event, kind, seen_ns):
            return
        finding = self._finding(event, kind, seen_ns)
        if finding is not None:
            self._told[key] = finding
            yield finding

    def _may_open(self, event: npt.NDArray[Any], kind: int, seen_ns: int) -> bool:
        """Whether what is not told yet may be: what opens, and of pairs what the entity's others do not outdo."""
        if kind == layout.TOGETHER:
            return bool(event["what"] == layout.OPENED)
        passes = self._bars.passes(int(event["entity"]), float(event["score"]), seen_ns / SECOND_NS)
        self.quiet["usual"] += not passes
        return passes

    def _finding(self, event: npt.NDArray[Any], kind: int, seen_ns: int) -> Finding | None:
        """What is told, about the series that most of all did what hurts; None where nobody would care."""
        drivers = [(n, self._series(int(row))) for n, row in enumerate(event["row"]) if row != layout.NONE]
        z = event["z"].tolist()
        told = drivers if kind == layout.TOGETHER else drivers[:1]
        chosen = next(((n, each) for n, each in told if _matters(each, event, n)), None)
        if chosen is None:
            self.quiet["small"] += 1
            return None
        at, series = chosen
        onset_ns = int(event["onset"]) * self.config.tick_ns
        onset, entity = to_datetime(onset_ns), self._members.names[int(event["entity"])]
        if kind == layout.TOGETHER:
            moved = [(each, z[n]) for n, each in drivers]
            reason = words.moved_together(entity, int(event["moved"]), int(event["series"]), moved, onset)
        else:
            (_, left), (_, other) = drivers
            reason = words.parted(left, z[0], other, z[1], float(event["coupling"]), onset)
        value, expected, usual = (float(event[name][at]) for name in ("value", "expected", "usual"))
        return Finding(
            id=self._id(f"{kind}:{entity if kind == layout.TOGETHER else sid_text(series.sid)}", onset_ns),
            entity=entity,
            series=sid_text(series.sid),
            metric=series.metric,
            onset=onset,
            seen=to_datetime(seen_ns),
            score=round(float(event["score"]), 3),
            effect=round(z[at], 3),
            value=value,
            expected=expected,
            low=expected - SPREADS * usual,
            high=expected + SPREADS * usual,
            direction=Direction.UP if z[at] > 0 else Direction.DOWN,
            detector=self.detector,
            reason=reason,
            unit=unit_of(series),
            labels_text=labels_text(series.labels),
            tenant=self._tenant,
        )

    def _closed(self, key: tuple[int, int], told: Finding, seen_ns: int) -> Finding:
        lasted_s = (seen_ns / SECOND_NS) - told.onset.timestamp()
        if key[0] == layout.TOGETHER:
            reason = words.calm_again(told.entity, lasted_s)
        else:
            reason = words.together_again(self._series(key[1]), lasted_s)
        return replace(told, state=FindingState.CLOSED, seen=to_datetime(seen_ns), reason=reason)

    def _ended(self, tick: int) -> Iterator[Finding]:
        """Close what no tick will close: too few of the entity's series still come."""
        for key, told in list(self._told.items()):
            quiet = tick - int(told.seen.timestamp() / self.config.tick_s)
            if quiet > self.config.readmit_ticks + layout.LIVE_TICKS:
                del self._told[key]
                rows = self._members.entities if key[0] == layout.TOGETHER else self._members.pairs
                rows["opened"][key[1]], rows["stay"][key[1]] = 0, 0
                yield replace(told, state=FindingState.CLOSED, reason=words.no_more_data(told.entity))

    def _id(self, subject: str, onset_ns: int) -> str:
        """Deterministic in tenant, detector name, subject and onset."""
        text = f"{self._tenant}\x1f{self.detector.partition('@')[0]}\x1f{subject}\x1f{onset_ns}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def snapshot(self) -> State:
        """Rows, samples of the tick that is not over, who calls whom, and what was told."""
        return {name: each if isinstance(each, bytes) else each.copy() for name, each in self.lend().items()}

    def lend(self) -> State:
        """`snapshot` without a copy: good until the next sample."""
        members = self._members
        known = {
            "names": members.names,
            "links": members.links(),
            "told": [[*key, to_json(finding)] for key, finding in self._told.items()],
            "next_ns": self._next_ns,
            "late": self.late,
            "quiet": dict(self.quiet),
            "apart": self.config.apart,
            "bars": self._bars.snapshot(),
            "layout": LAYOUT,
        }
        at, time_ns, value = _joined(self._pending)
        held: dict[str, npt.NDArray[np.generic]] = {"held_at": at, "held_time_ns": time_ns, "held_value": value}
        return {**members.lend(), **held, "joint": json.dumps(known).encode()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave.

        Raises:
            Corrupt: Not the state of this stage, or of one with rows of another layout.
        """
        try:
            known = json.loads(bytes(state["joint"]))
            if known["layout"] != LAYOUT:
                raise Corrupt("joint state has rows of another layout; start this version from an empty state")
            told = {(int(kind), int(n)): from_json(Finding, each) for kind, n, each in known["told"]}
            links = {int(n): [int(each) for each in others] for n, others in known["links"].items()}
            held = (
                np.array(state["held_at"], np.int32),
                np.array(state["held_time_ns"], np.int64),
                np.array(state["held_value"], np.float64),
            )
            self._members.restore(state, known["names"], links, pairs=bool(known["apart"]))
            self._next_ns, self.late = int(known["next_ns"]), int(known["late"])
            self.quiet = Counter(known["quiet"])
            self._bars.restore(known["bars"])
            self._bars.meet(len(self._members.names) if self.config.apart else 0, self._next_ns / SECOND_NS)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"joint state does not fit this version: {error!r}; replay the journal") from error
        self._told = {key: each for key, each in told.items() if key[0] == layout.TOGETHER or self.config.apart}
        self._pending = [held] if len(held[0]) else []

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        self.restore(move.joint_of(self.lend(), mine.sids(self._members.sids), mine.entity))


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    at, time_ns, value = zip(*chunks, strict=True) if chunks else ((), (), ())
    return (
        np.concatenate([np.empty(0, np.int32), *at]),
        np.concatenate([np.empty(0, np.int64), *time_ns]),
        np.concatenate([np.empty(0, np.float64), *value]),
    )


def _picked(chunk: Chunk, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Chunk:
    return chunk[0][rows], chunk[1][rows], chunk[2][rows]


def _matters(series: Series, event: npt.NDArray[Any], at: int) -> bool:
    """Whether a driver went to a side that hurts by more than its floor of practical size."""
    side = Direction.UP if event["z"][at] > 0 else Direction.DOWN
    floor, expected = floor_of(series), float(event["expected"][at])
    away = abs(float(event["z"][at])) * float(event["usual"][at])
    return harmful(series.metric, side) and away >= max(floor.least, floor.share * abs(expected))
