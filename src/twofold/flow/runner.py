"""Drives the pipelines of one partition from the journal: decode, push, hand to the sink, checkpoint.

After a crash it starts from the checkpoint and reads the same frames again. Stages give the same
ids, the sink writes them again, nothing changes.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from twofold.errors import Corrupt, Transient, TwofoldError
from twofold.flow import checkpoint
from twofold.flow.background import Background
from twofold.flow.checkpoint import Key
from twofold.flow.hand import Outbox
from twofold.flow.homes import FIRST
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Mine, State
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.records.time import MINUTE_NS, SECOND_NS
from twofold.store.blobs import Blobs
from twofold.store.failpoints import reach
from twofold.store.journal import Journal, read_past_damage

log = logging.getLogger(__name__)

CONSUMER: Final = "pipeline"
TOLD: Final = (Event, Entity, Edge)
"""What senders tell outright: it goes to the sink as it came, beside what stages make of it."""
AT_REST_NS: Final = 5 * SECOND_NS
"""A backfill without a frame for so long has ended, as far as the live lane waits for it."""
REACHES_NS: Final = 15 * MINUTE_NS
"""A backfill that ends at most this long before live telemetry began leads up to it."""
YOUNG_NS: Final = 360 * MINUTE_NS
"""A live lane that is older is not replaced as a whole: incidents, objectives and forecasts of it stand."""
NEARLY_ALL: Final = 0.9
"""Share of what the live lane knows that history must know to take its place."""
Decode = Callable[[Frame], tuple[Sequence[object], int]]
"""A frame's items and the newest event time among them (0 without any)."""
Build = Callable[[str, Lane], Pipeline]
"""A new pipeline for a tenant and lane."""
Owns = Callable[[str], Mine]
"""What of a tenant belongs to the partition."""


class Sink(Protocol):
    """Takes what stages made."""

    def write(self, made: Sequence[object], *, tenant: str, lane: Lane) -> None:
        """Write durably and idempotently. Raises `Transient` errors to be tried again; others end the partition."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """How a partition is driven.

    Attributes:
        checkpoint_s: Time between checkpoints, and so the longest replay after a crash, while they cost little.
        checkpoint_share: Share of the time that checkpoints may take; large states are saved less often for it.
        checkpoint_most_s: Longest time between checkpoints for all that.
        frames: Most frames read at once.
        retry_s: Pause before a transient failure of the sink is tried again.
        linger_s: Frames that come so soon after the first are taken with it: each waking of a thread costs the others.
    """

    checkpoint_s: float = 10.0
    checkpoint_share: float = 0.01
    checkpoint_most_s: float = 60.0
    frames: int = 256
    retry_s: float = 0.5
    linger_s: float = 0.03


@dataclass(slots=True)
class Progress:
    """What the runner has done, for `/metrics` and status pages.

    Attributes:
        failures: Times that results were held back.
        poisoned: Frames that could not be read and were skipped.
        refused_builds: Times that another version could not take over, or that a checkpoint was damaged.
    """

    frames: int = 0
    rows: int = 0
    made: int = 0
    failures: int = 0
    checkpoints: int = 0
    event_ns: int = 0
    poisoned: int = 0
    refused_builds: int = 0


class Runner(Background):
    """One thread over one partition.

    Args:
        decode: Turns a frame into items; raises permanent errors for a frame that cannot be read (counted, skipped).
        build: Makes the pipeline of a tenant and lane when its first frame comes.
        owns: Asked when the checkpoint was made with fewer partitions; without it all is taken.
    """

    def __init__(
        self,
        journal: Journal,
        partition: int,
        *,
        decode: Decode,
        build: Build,
        sink: Sink,
        blobs: Blobs,
        config: RunnerConfig | None = None,
        owns: Owns | None = None,
    ) -> None:
        super().__init__(f"pipeline-{partition}")
        self._journal = journal
        self._partition = partition
        self._decode = decode
        self._build = build
        self._sink = sink
        self._blobs = blobs
        self._config = config or RunnerConfig()
        self._owns = owns
        self._outbox = Outbox(journal, partition) if partition != FIRST else None
        self._partitions = len(journal.partitions())
        self._checkpoint_name = checkpoint_name(partition)
        self._pipelines: dict[Key, Pipeline] = {}
        self._position = journal.committed(CONSUMER, partition)
        self._stale = False
        self.progress = Progress()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Restore the checkpoint, then begin."""
        self.restore()
        super().start()

    def restore(self) -> None:
        """Take the last checkpoint's states and position, if there is one; a damaged one is given up."""
        try:
            saved = checkpoint.load(self._blobs, self._checkpoint_name)
        except Corrupt as error:
            self.progress.refused_builds += 1
            log.error("learning begins anew at the oldest frame that is kept: %s", error)  # noqa: TRY400 - damaged bytes, no fault of the code
            saved = None
        if saved is None:
            return
        for key, states in saved.states.items():
            self._pipelines[key] = self._restored(key, states)
            if saved.partitions != self._partitions and self._owns is not None:
                self._pipelines[key].keep(self._owns(key[0]))
        self._position = max(saved.position, self._position)

    def _restored(self, key: Key, states: Mapping[str, State]) -> Pipeline:
        """A pipeline with its states; one of another version's layout is given up, and learning begins anew."""
        pipeline = self._build(*key)
        try:
            pipeline.restore(states)
        except Corrupt:
            self.progress.refused_builds += 1
            log.exception(
                "what %s had learnt in the %s lane is of another version and is given up", key[0], key[1].name
            )
            return self._build(*key)
        return pipeline

    def drain(self) -> int:
        """`work_off`, then a checkpoint."""
        frames = self.work_off()
        self.checkpoint()
        return frames

    def work_off(self) -> int:
        """Push every frame that is durable now, in the calling thread; returns their number."""
        frames = 0
        while batch := self._read():
            frames += len(batch)
            self._work(batch)
        return frames

    def rebuild(self) -> None:
        """Build the pipelines anew around their state before the next frame: another detector went live."""
        self._stale = True

    def stage_failures(self) -> Counter[str]:
        """How often each stage raised on a frame, over all pipelines."""
        return sum((pipeline.failures for pipeline in list(self._pipelines.values())), Counter())

    def stage_drops(self) -> Counter[tuple[str, str]]:
        """Items that stages did not use, by stage and reason, over all pipelines."""
        return sum((pipeline.dropped() for pipeline in list(self._pipelines.values())), Counter())

    def checkpoint(self) -> None:
        """Save all states with their position, then release the journal up to it."""
        states: Mapping[Key, Mapping[str, object]] = {key: p.snapshot() for key, p in self._pipelines.items()}
        checkpoint.save(
            self._blobs,
            self._checkpoint_name,
            checkpoint.Checkpoint(position=self._position, states=states, partitions=self._partitions),  # type: ignore[arg-type]  # State is invariant in its value union
        )
        reach("checkpoint.save")
        self._journal.commit(CONSUMER, self._partition, self._position)
        self.progress.checkpoints += 1

    def _checkpoint_in_turn(self) -> float:
        """Save, and say when to save again."""
        began = time.monotonic()
        self.checkpoint()
        ended = time.monotonic()
        config = self._config
        pause_s = min((ended - began) / config.checkpoint_share, config.checkpoint_most_s)
        return ended + max(pause_s, config.checkpoint_s)

    def _read(self) -> Sequence[tuple[Position, Frame]]:
        found, lost = read_past_damage(self._journal, self._partition, self._position, self._config.frames)
        for error in lost:
            self.progress.poisoned += 1
            log.error("a damaged frame is skipped: %s", error)
        return found

    def loop(self) -> None:
        """Push frames, tell what came out, checkpoint when it is time and at the end."""
        next_checkpoint = time.monotonic() + self._config.checkpoint_s
        try:
            while not self.stopping.is_set():
                batch = self._read()
                if batch:
                    self._work(batch)
                elif self._journal.wait(self._partition, self._position, timeout_s=0.5):
                    self.stopping.wait(self._config.linger_s)
                if time.monotonic() >= next_checkpoint:
                    next_checkpoint = self._checkpoint_in_turn()
            self.checkpoint()
        except BaseException as error:  # the thread's boundary: readiness turns false, the journal keeps the frames
            log.exception("partition %d stopped at %s", self._partition, self._position)
            self.failure = error

    def _work(self, batch: Sequence[tuple[Position, Frame]]) -> None:
        if self._stale:
            self._stale = False
            self._renew()
        made: dict[Key, list[object]] = {}
        for position, frame in batch:
            if frame.source is Source.DERIVED and frame.kind is not FrameKind.HANDED:
                continue
            key = (frame.tenant, frame.lane)
            new = self._push(key, frame)
            if self._outbox is not None and key in self._pipelines:
                new = self._outbox.take(*key, position, new, self._pipelines[key].watermark_ns)
            made.setdefault(key, []).extend(new)
        if self._outbox is not None:
            self._persist(self._outbox.send)
        for (tenant, lane), items in made.items():
            if items:
                self._write(items, tenant=tenant, lane=lane)
        self._position = batch[-1][0]

    def _renew(self) -> None:
        """All pipelines anew; when one cannot take over its state, the old ones go on."""
        renewed: dict[Key, Pipeline] = {}
        try:
            for key, old in self._pipelines.items():
                renewed[key] = self._build(*key)
                renewed[key].restore(old.snapshot())
                renewed[key].failures.update(old.failures)
        except TwofoldError:
            self.progress.refused_builds += 1
            log.exception("what went live cannot take over the running state; the version before goes on")
        else:
            self._pipelines = renewed

    def _push(self, key: Key, frame: Frame) -> list[object]:
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            if frame.kind is FrameKind.TICK:
                return []
            pipeline = self._pipelines[key] = self._build(*key)
        if key[1] is Lane.LIVE:
            pipeline = self._adopt(key, pipeline, frame)
        try:
            items, event_ns = self._decode(frame)
        except TwofoldError:
            self.progress.poisoned += 1
            log.exception("a %s frame of %d rows cannot be read and is skipped", frame.kind.name, frame.rows)
            return []
        self.progress.frames += 1
        self.progress.rows += frame.rows
        self.progress.event_ns = max(self.progress.event_ns, min(event_ns, frame.time_ns))
        if frame.kind is FrameKind.TOPOLOGY:
            self._declare(key, items)
        told = [item for item in items if isinstance(item, TOLD)]
        return told + pipeline.push(items, event_ns=event_ns, received_ns=frame.time_ns)

    def _declare(self, key: Key, items: Sequence[object]) -> None:
        """What is declared holds at all times: the tenant's other lane hears of it too."""
        for other, pipeline in self._pipelines.items():
            if other != key and other[0] == key[0]:
                pipeline.push(items, event_ns=0, received_ns=0)

    def _adopt(self, key: Key, live: Pipeline, frame: Frame) -> Pipeline:
        """The live lane goes on from what a backfill of its tenant has learnt, each time that one is at rest.

        Only from one that reaches to it: old history that ends long ago says nothing of now. A lane that is younger
        than the history, and of which that knows nearly all, goes on from the whole of it. Any other keeps what it
        knows: somebody else's history must not make it forget.
        """
        past = self._pipelines.get((key[0], Lane.BACKFILL))
        if past is None or not past.first_ns or frame.time_ns - past.received_ns < AT_REST_NS:
            return live
        if live.adopted_ns == past.received_ns:
            return live
        if past.watermark_ns < (live.first_ns or frame.time_ns) - REACHES_NS:
            return live
        live.adopted_ns = past.received_ns
        younger = not live.first_ns or (past.first_ns < live.first_ns and live.watermark_ns - live.first_ns < YOUNG_NS)
        if not younger or live.covered_by(past) < NEARLY_ALL:
            live.adopt(past)
            return live
        adopting = self._build(*key)
        adopting.watermark_ns = live.watermark_ns
        adopting.take_over(past)
        adopting.adopt(live)
        adopting.adopted_ns = past.received_ns
        self._pipelines[key] = adopting
        return adopting

    def _write(self, items: Sequence[object], *, tenant: str, lane: Lane) -> None:
        self._persist(lambda: self._sink.write(items, tenant=tenant, lane=lane))
        self.progress.made += len(items)

    def _persist(self, write: Callable[[], None]) -> None:
        while True:
            try:
                return write()
            except Transient as error:
                self.progress.failures += 1
                log.warning("results are held back: %s", error)
                if self.stopping.wait(self._config.retry_s):
                    raise


def checkpoint_name(partition: int) -> str:
    """The blob of a partition's checkpoint."""
    return f"checkpoints/pipeline-{partition}"
