"""Small real stages and sinks: what they are given is what they tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twofold.errors import Corrupt
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import State
from twofold.records.alert import Severity
from twofold.records.columns import Samples
from twofold.records.frame import Lane
from twofold.records.incident import Incident, IncidentState
from twofold.records.time import SECOND_NS, to_datetime


@dataclass(frozen=True)
class Word:
    """What a toy stage makes."""

    text: str


class Echo:
    """Says what it was given and when it was called; counts everything in its state."""

    name: ClassVar[str] = "echo"
    accepts: ClassVar[tuple[type, ...]] = (Word,)

    def __init__(self, name: str = "echo") -> None:
        self.name = name  # type: ignore[misc]  # several in one pipeline need names of their own
        self.words: list[str] = []
        self.advanced: list[int] = []

    def process(self, items: Sequence[object]) -> Sequence[object]:
        words = [item.text for item in items if isinstance(item, Word)]
        self.words += words
        return [Word(f"{self.name}({text})") for text in words]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        self.advanced.append(watermark_ns)
        return ()

    def snapshot(self) -> State:
        return {"words": json.dumps(self.words).encode(), "advanced": np.array(self.advanced, np.int64)}

    def restore(self, state: State) -> None:
        self.words = json.loads(bytes(state["words"]))
        self.advanced = np.asarray(state["advanced"]).tolist()


class Thresholds:
    """An incident a sample above one; `seen` counts samples, so ids tell what the state knew."""

    name: ClassVar[str] = "thresholds"
    accepts: ClassVar[tuple[type, ...]] = (Samples,)

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.seen = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        made: list[object] = []
        for item in items:
            assert isinstance(item, Samples)
            for _, time_ns, value in zip(*(column.tolist() for column in item.columns()), strict=True):
                self.seen += 1
                if value < 0:
                    raise ValueError("a negative sample")
                if value > 1:
                    made.append(incident(f"inc-{self.seen}-v{self.version}", time_ns, backfilled=bool(item.lane)))
        return made

    def advance(self, watermark_ns: int) -> Sequence[object]:  # noqa: ARG002 - the contract's signature
        return ()

    def snapshot(self) -> State:
        return {"seen": np.array([self.seen])}

    def restore(self, state: State) -> None:
        if self.version == "unfit":
            raise Corrupt("another layout")
        self.seen = int(np.asarray(state["seen"])[0])


def incident(key: str, time_ns: int, *, owner: str = "", backfilled: bool = False) -> Incident:
    """An open incident."""
    time = to_datetime(time_ns)
    return Incident(
        id=key,
        title=key,
        state=IncidentState.OPEN,
        severity=Severity.WARNING,
        start=time,
        detected=time,
        last_seen=time,
        owner=owner,
        backfilled=backfilled,
    )


def pipeline(*stages: Echo | Thresholds, lane: Lane = Lane.LIVE, lateness_s: float = 2) -> Pipeline:
    """A pipeline of toys."""
    return Pipeline(stages, lane=lane, lateness_ns=int(lateness_s * SECOND_NS))
