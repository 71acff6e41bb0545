"""Grouping above partitions: what all of them find comes together in the first, through the journal like all else.

    partition 1, 2 …   stages ─► Outbox ─► a HANDED frame in the journal of the first partition
    partition 0        Inbox ─► stages ─► Aligned(correlate) ─► Aligned(diagnose)

A partition that starts again hands the same records again, and says from which frame each was made; the inbox leaves
out what it has. With one partition none of this exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import orjson

from twofold.errors import Corrupt
from twofold.flow.homes import FIRST
from twofold.flow.stage import Stage, State
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.records.handed import CARRIED, Handed
from twofold.records.time import MINUTE_NS
from twofold.store.journal import Journal
from twofold.store.journal.codec import encode_handed

MOST_RECORDS: Final = 5000
"""Of a frame, but for the records of one frame, which stay together."""
PATIENCE_NS: Final = {Lane.LIVE: 10 * MINUTE_NS, Lane.BACKFILL: 60 * MINUTE_NS}
"""Event time by which grouping lags behind the fastest partition at most: one that stopped must not hold it up."""


class Outbox:
    """Takes what grouping needs out of what the stages of a partition made, and hands it over."""

    def __init__(self, journal: Journal, partition: int) -> None:
        self._journal = journal
        self._partition = partition
        self._waiting: dict[tuple[str, Lane], list[tuple[Position, list[object]]]] = {}
        self._clocks: dict[tuple[str, Lane], int] = {}
        self._told: dict[tuple[str, Lane], int] = {}

    def take(self, tenant: str, lane: Lane, position: Position, made: Sequence[object], clock_ns: int) -> list[object]:
        """Keep of what was made from the frame before that position what is handed over; gives the rest."""
        carried: list[object] = [item for item in made if isinstance(item, CARRIED)]
        key = tenant, lane
        if carried:
            self._waiting.setdefault(key, []).append((position, carried))
        self._clocks[key] = clock_ns
        return [item for item in made if not isinstance(item, CARRIED)] if carried else list(made)

    def send(self) -> None:
        """Append it durably. Raises `Transient`, after which all of it is sent again."""
        frames: list[Frame] = []
        for key, clock_ns in self._clocks.items():
            parts = self._waiting.get(key, [])
            if parts or clock_ns > self._told.get(key, 0):
                frames += self._frames(*key, clock_ns, parts)
        if frames:
            self._journal.append(frames)
        self._told |= self._clocks
        self._waiting.clear()

    def _frames(
        self, tenant: str, lane: Lane, clock_ns: int, parts: Sequence[tuple[Position, list[object]]]
    ) -> list[Frame]:
        bundles: list[list[tuple[Position, list[object]]]] = [[]]
        records = 0
        for part in parts:
            if records >= MOST_RECORDS:
                bundles.append([])
                records = 0
            bundles[-1].append(part)
            records += len(part[1])
        before_ns = self._told.get((tenant, lane), 0)
        return [
            Frame(
                kind=FrameKind.HANDED,
                payload=encode_handed(
                    Handed(
                        origin=self._partition,
                        clock_ns=clock_ns if bundle is bundles[-1] else before_ns,
                        parts=bundle,
                    )
                ),
                time_ns=0,
                rows=sum(len(made) for _, made in bundle),
                tenant=tenant,
                lane=lane,
                source=Source.DERIVED,
                partition=FIRST,
            )
            for bundle in bundles
        ]


class Inbox:
    """First stage of the first partition: unpacks what the others handed over, each record once."""

    name: ClassVar[str] = "inbox"
    accepts: ClassVar[tuple[type, ...]] = (Handed,)

    def __init__(self) -> None:
        self._taken: dict[int, Position] = {}

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """The records that are new."""
        made: list[object] = []
        for item in items:
            if isinstance(item, Handed):
                for position, records in item.parts:
                    if position > self._taken.get(item.origin, Position(0, 0)):
                        self._taken[item.origin] = position
                        made.extend(records)
        return made

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Nothing: records come when they are handed over."""
        del watermark_ns
        return ()

    def snapshot(self) -> State:
        """How far each partition was taken."""
        return {"taken": orjson.dumps([[origin, *position] for origin, position in sorted(self._taken.items())])}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            rows = orjson.loads(bytes(state["taken"]))
            self._taken = {int(origin): Position(int(segment), int(offset)) for origin, segment, offset in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"the inbox does not fit this version: {error!r}; replay the journal") from error


class Aligned:
    """A stage that goes on only as far as all partitions have come.

    So what is found in one that lags is grouped as if there were one partition. A partition that was never sent
    anything of the tenant and lane is not waited for, and none for longer than `PATIENCE_NS`.
    """

    name: ClassVar[str] = ""  # both are the inner stage's
    accepts: ClassVar[tuple[type, ...]] = ()

    def __init__(self, inner: Stage, lane: Lane) -> None:
        self._inner, self._patience_ns = inner, PATIENCE_NS[lane]
        self._clocks: dict[int, int] = {}
        self._reached_ns = 0
        self.name = inner.name  # type: ignore[misc]  # of the instance: it stands for another stage
        self.accepts = (Handed, *inner.accepts)  # type: ignore[misc]  # likewise

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """All but clocks is the inner stage's, which goes on when the slowest of the others has."""
        wanted = [item for item in items if not isinstance(item, Handed)]
        made = list(self._inner.process(wanted)) if wanted else []
        for item in items:
            if isinstance(item, Handed):
                made += self._tick(item.origin, item.clock_ns)
        return made

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """To where all have come."""
        return self._tick(FIRST, watermark_ns)

    def _tick(self, partition: int, clock_ns: int) -> Sequence[object]:
        self._clocks[partition] = max(clock_ns, self._clocks.get(partition, 0))
        clocks = [each for each in self._clocks.values() if each]
        reached_ns = max(min(clocks), max(clocks) - self._patience_ns) if clocks else 0
        if reached_ns <= self._reached_ns:  # also where one is heard of that is far behind: time never goes back
            return ()
        self._reached_ns = reached_ns
        return self._inner.advance(reached_ns)

    def snapshot(self) -> State:
        """The inner stage's, and how far every partition is."""
        known = {"reached_ns": self._reached_ns, "clocks": [list(each) for each in self._clocks.items()]}
        return {**self._inner.snapshot(), "aligned": orjson.dumps(known)}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave, of this or of the inner stage. Raises `Corrupt`."""
        try:
            known: Any = {"reached_ns": 0, "clocks": []}
            if "aligned" in state:
                known = orjson.loads(bytes(state["aligned"]))
            self._reached_ns = int(known["reached_ns"])
            self._clocks = {int(origin): int(clock_ns) for origin, clock_ns in known["clocks"]}
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"clocks of partitions do not fit this version: {error!r}; replay the journal") from error
        self._inner.restore(state)
