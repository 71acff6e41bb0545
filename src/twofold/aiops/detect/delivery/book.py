"""What is remembered of pipelines and deployments, and the figures that follow from it.

The four keys of delivery: lead time for changes, deployment frequency, change failure rate, time to restore.
Source: Forsgren, Humble & Kim (2018), "Accelerate"; DORA, "Software delivery performance metrics".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from twofold.aiops.detect.delivery.reading import COMMIT, Deploy, Run
from twofold.records.time import SECOND_NS

LAST: Final = 20
"""Runs, or deployments, that a ratio is over."""
BLAMED_NS: Final = 3600 * SECOND_NS
"""What goes wrong within an hour of a deployment is held against it."""
WEEK_NS: Final = 7 * 86_400 * SECOND_NS
_COMMITS: Final = 4000
_STARTED: Final = 1000
_DEPLOYS: Final = 500


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one series: metric, unit, value."""

    metric: str
    unit: str
    value: float


@dataclass(slots=True)
class Deployed:
    """One deployment: when, whether it failed, and whether that is over."""

    time_ns: int
    failed: bool = False
    restored: bool = False


@dataclass(slots=True)
class Book:
    """Everything that figures are made of; bounded, the oldest goes first.

    Attributes:
        runs: Whether each of the last runs failed, by pipeline.
        started: When runs began that have not ended, by their id.
        commits: When commits were made, by the head of their hash.
        deploys: Deployments by place (entity and environment), oldest first.
    """

    runs: dict[str, deque[bool]] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    deploys: dict[str, list[Deployed]] = field(default_factory=dict)

    def committed(self, commit: str, time_ns: int) -> None:
        """A commit was made; the earliest time told of it counts."""
        key = commit[:COMMIT]
        self.commits[key] = min(time_ns, self.commits.get(key, time_ns))
        _trim(self.commits, _COMMITS)

    def begun(self, run: Run, time_ns: int) -> None:
        """A run began."""
        self.started[run.key] = time_ns
        _trim(self.started, _STARTED)

    def ran(self, run: Run, time_ns: int) -> Iterator[Point]:
        """A run ended: how long it took, how long it waited, how many of the last failed."""
        duration_s, began_ns = run.duration_s, self.started.pop(run.key, None)
        if duration_s is None and began_ns is not None:
            duration_s = (time_ns - began_ns) / SECOND_NS
        if duration_s is not None and duration_s >= 0:
            yield Point("ci.pipeline.duration", "s", duration_s)
        if run.queued_s is not None:
            yield Point("ci.pipeline.queued", "s", run.queued_s)
        if run.failed is not None:
            last = self.runs.setdefault(run.place, deque(maxlen=LAST))
            last.append(run.failed)
            yield Point("ci.pipeline.failed_ratio", "1", sum(last) / len(last))

    def deployed(self, deploy: Deploy, time_ns: int) -> Iterator[Point]:
        """A deployment ended: its lead time, how often there are any, how many failed, how long until it works."""
        past = self.deploys.setdefault(deploy.place, [])
        if deploy.rollback:
            self._blame(past, time_ns)
        if not deploy.failed:
            broken = [one for one in past if one.failed and not one.restored]
            if broken:
                yield Point("deploy.recovery_time", "s", (time_ns - broken[0].time_ns) / SECOND_NS)
            for one in broken:
                one.restored = True
        past.append(Deployed(time_ns, failed=deploy.failed, restored=deploy.rollback))
        del past[:-_DEPLOYS]
        committed_ns = deploy.committed_ns or self.commits.get(deploy.commit[:COMMIT], 0)
        if committed_ns and not (deploy.failed or deploy.rollback) and time_ns >= committed_ns:
            yield Point("deploy.lead_time", "s", (time_ns - committed_ns) / SECOND_NS)
        week = sum(not one.failed and one.time_ns > time_ns - WEEK_NS for one in past)
        yield Point("deploy.frequency", "1/d", week / 7.0)
        yield self._ratio(past)

    def troubled(self, place: str, time_ns: int) -> Iterator[Point]:
        """An alert from outside fell on what was deployed there not long ago."""
        past = self.deploys.get(place, [])
        if self._blame(past, time_ns):
            yield self._ratio(past)

    def _blame(self, past: list[Deployed], time_ns: int) -> bool:
        if past and not past[-1].failed and not past[-1].restored and time_ns - past[-1].time_ns <= BLAMED_NS:
            past[-1].failed = True
            return True
        return False

    def _ratio(self, past: list[Deployed]) -> Point:
        last = past[-LAST:]
        return Point("deploy.change_failure_ratio", "1", sum(one.failed for one in last) / len(last))

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return {
            "runs": {place: list(last) for place, last in self.runs.items()},
            "started": self.started,
            "commits": self.commits,
            "deploys": {place: [asdict(one) for one in past] for place, past in self.deploys.items()},
        }

    @classmethod
    def from_json(cls, data: Any) -> Book:
        """Inverse of `to_json`. Raises `KeyError`, `TypeError` for other data."""
        return cls(
            runs={place: deque(map(bool, last), maxlen=LAST) for place, last in data["runs"].items()},
            started={key: int(at) for key, at in data["started"].items()},
            commits={key: int(at) for key, at in data["commits"].items()},
            deploys={place: [Deployed(**one) for one in past] for place, past in data["deploys"].items()},
        )


def _trim(kept: dict[str, int], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
