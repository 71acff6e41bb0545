"""An ordered list of stages over one partition, tenant and lane, with its watermark."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np

from twofold.flow.stage import Adopts, Mine, Movable, Seeded, Stage, State
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS

log = logging.getLogger(__name__)

GRAIN_NS: Final = SECOND_NS
"""Timers fire on whole seconds of event time, so that how frames are cut changes nothing."""


@runtime_checkable
class Lends(Protocol):
    """A stage whose state is large: what is written at once needs no copy of it."""

    def lend(self) -> State:
        """`Stage.snapshot` that may share memory with the stage: good until its next call."""
        ...


class Pipeline:
    """Items go down the list once: each stage sees what came in and what stages above it made.

    Args:
        stages: In order. Names must differ.
        lane: Live frames may not pull event time past their receive time; backfilled ones have no such clock.
        lateness_ns: How far behind the newest event time the watermark stays. Later items are the stages' to judge.

    Raises:
        ValueError: Two stages share a name.
    """

    def __init__(self, stages: Sequence[Stage], *, lane: Lane, lateness_ns: int) -> None:
        names = [stage.name for stage in stages]
        if len(set(names)) != len(names):
            raise ValueError(f"stage names must differ: {names}")
        self.stages = tuple(stages)
        self.lane = lane
        self.lateness_ns = lateness_ns
        self.watermark_ns = 0
        self.first_ns = 0
        self.received_ns = 0
        self.adopted_ns = 0  # `received_ns` of the backfill that it has taken over from
        self.failures: Counter[str] = Counter()

    def push(self, items: Sequence[object], *, event_ns: int, received_ns: int) -> list[object]:
        """Send the items of one frame down and return everything that stages made, in order.

        Args:
            items: Records and column batches; may be empty (a tick).
            event_ns: Newest event time among them; 0 when they carry none.
            received_ns: When the frame was received; caps event time in the live lane, so that one sender's
                clock running ahead does not close everybody's windows.
        """
        self.first_ns = self.first_ns or event_ns
        self.received_ns = max(self.received_ns, received_ns)
        newest_ns = min(event_ns or received_ns, received_ns) if self.lane is Lane.LIVE else event_ns
        reached_ns = (newest_ns - self.lateness_ns) // GRAIN_NS * GRAIN_NS
        moved = reached_ns > self.watermark_ns
        if moved:
            self.watermark_ns = reached_ns
        flowing = list(items)
        made: list[object] = []
        for stage in self.stages:
            new = self._run(stage, flowing, moved=moved)
            flowing.extend(new)
            made.extend(new)
        return made

    def _run(self, stage: Stage, flowing: Sequence[object], *, moved: bool) -> list[object]:
        wanted = [item for item in flowing if isinstance(item, stage.accepts)]
        try:
            new = list(stage.process(wanted)) if wanted else []
            if moved:
                new.extend(stage.advance(self.watermark_ns))
        except Exception:  # the stage boundary: one stage's fault on one frame must not stop the others
            self.failures[stage.name] += 1
            log.exception("stage %s failed on a frame at %d", stage.name, self.watermark_ns)
            return []
        return new

    def dropped(self) -> Counter[tuple[str, str]]:
        """Items that stages did not use, by stage and reason: late, duplicate and whatever else each counts."""
        found: Counter[tuple[str, str]] = Counter()
        for stage in self.stages:
            counted: Mapping[str, int] = getattr(stage, "dropped", {})  # not every stage leaves anything out
            found.update({(stage.name, reason): count for reason, count in counted.items()})
        return found

    def snapshot(self) -> Mapping[str, State]:
        """State of every stage by name, and of the pipeline itself under `pipeline`; good until the next `push`."""
        states: dict[str, State] = {
            stage.name: stage.lend() if isinstance(stage, Lends) else stage.snapshot() for stage in self.stages
        }
        states["pipeline"] = {
            "watermark_ns": np.array([self.watermark_ns], np.int64),
            "first_ns": np.array([self.first_ns], np.int64),
            "received_ns": np.array([self.received_ns], np.int64),
            "adopted_ns": np.array([self.adopted_ns], np.int64),
        }
        return states

    def restore(self, states: Mapping[str, State]) -> None:
        """Take back a snapshot. A stage that the snapshot does not know starts empty; raises `Corrupt` from stages."""
        for stage in self.stages:
            if isinstance(stage, Seeded):
                stage.seed(states)
            if stage.name in states:
                stage.restore(states[stage.name])
        for name in ("watermark_ns", "first_ns", "received_ns", "adopted_ns"):
            if name in states.get("pipeline", {}):
                setattr(self, name, int(np.asarray(states["pipeline"][name])[0]))

    def keep(self, mine: Mine) -> None:
        """Forget what is another partition's: this one was split, or split from another."""
        for stage in self.stages:
            if isinstance(stage, Movable):
                stage.keep(mine)

    def take_over(self, older: Pipeline) -> None:
        """Go on from what another pipeline of the same stages has learnt; event time does not go back."""
        watermark_ns, received_ns = self.watermark_ns, self.received_ns
        self.restore(older.snapshot())
        self.watermark_ns = max(watermark_ns, self.watermark_ns)
        self.received_ns = received_ns

    def covered_by(self, older: Pipeline) -> float:
        """Share of what the stages know that another pipeline of the same stages knows, too: the least of any stage."""
        states = older.snapshot()
        asked = [stage for stage in self.stages if isinstance(stage, Adopts) and stage.name in states]
        return min((stage.covered_by(states[stage.name]) for stage in asked), default=1.0)

    def adopt(self, older: Pipeline) -> None:
        """Take what is not known here, or known for less long; stages that cannot tell stay as they are."""
        states = older.snapshot()
        for stage in self.stages:
            if isinstance(stage, Adopts) and stage.name in states:
                stage.adopt(states[stage.name])
