"""What an event says of delivery, whichever system told it: a run of a pipeline, a deployment, a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event
from twofold.records.time import to_ns

COMMIT: Final = 8
"""Characters of a commit's hash that name it: GitLab tells no more of a deployment's."""
DEPLOYS: Final = frozenset({ChangeKind.DEPLOY, ChangeKind.ROLLBACK})
_FAILED: Final = frozenset({"failure", "failed", "error", "timed_out", "startup_failure"})
_PASSED: Final = frozenset({"success", "succeeded", "successful", "passed"})
_PRODUCTION: Final = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a pipeline.

    Attributes:
        entity: `job:<repository>/<pipeline>`.
        key: Names the run among all.
        failed: None for one that was cancelled or skipped: it says nothing of the pipeline.
    """

    entity: str
    repository: str
    pipeline: str
    key: str
    ended: bool
    failed: bool | None
    duration_s: float | None
    queued_s: float | None

    @property
    def place(self) -> str:
        """Whose figures it counts for."""
        return self.entity


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """A deployment of an entity to an environment."""

    entity: str
    environment: str
    commit: str
    committed_ns: int
    failed: bool
    rollback: bool

    @property
    def place(self) -> str:
        """Whose figures it counts for."""
        return place_of(self.entity, self.environment)


def place_of(entity: str, environment: str) -> str:
    """The key of an entity's deployments to an environment."""
    return f"{entity}\x1f{environment}"


def run_of(event: Event) -> Run | None:
    """The run that an event tells of, if any: it names a pipeline, and a conclusion or a start."""
    told = event.attributes
    pipeline, conclusion = told.get("pipeline", ""), told.get("conclusion", "").lower()
    if not pipeline or not (conclusion or told.get("started")):
        return None
    repository = told.get("repository", "") or event.source
    return Run(
        entity=entity_id(EntityKind.JOB, f"{repository}/{pipeline}"),
        repository=repository,
        pipeline=pipeline,
        key="\x1f".join((repository, pipeline, told.get("run", ""), told.get("attempt", ""))),
        ended=bool(conclusion),
        failed=conclusion in _FAILED if conclusion in _FAILED | _PASSED else None,
        duration_s=_number(told, "duration_s"),
        queued_s=_number(told, "queued_s"),
    )


def deploy_of(event: Event) -> Deploy | None:
    """The deployment that an event tells of, if any. One that says no state succeeded."""
    if event.change not in DEPLOYS:
        return None
    told = event.attributes
    state = (told.get("state") or told.get("phase") or told.get("outcome") or event.state).lower()
    return Deploy(
        entity=event.entity,
        environment=told.get("environment") or told.get("namespace") or _PRODUCTION,
        commit=told.get("commit", ""),
        committed_ns=_time(told.get("committed", "")),
        failed=state in _FAILED,
        rollback=event.change is ChangeKind.ROLLBACK,
    )


def commit_of(event: Event) -> tuple[str, int] | None:
    """The commit that an event tells the time of, if any."""
    commit, time_ns = event.attributes.get("commit", ""), _time(event.attributes.get("committed", ""))
    return (commit, time_ns) if len(commit) >= COMMIT - 1 and time_ns else None


def _number(told: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(told[name])
    except (KeyError, ValueError):
        return None
    return value if 0.0 <= value < 1e8 else None  # noqa: PLR2004 - three years, and no infinity


def _time(text: str) -> int:
    """Nanoseconds of an RFC 3339 time; 0 for what is none.

    >>> _time("2024-01-01T00:00:00Z"), _time("soon")
    (1704067200000000000, 0)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return to_ns(moment) if moment.tzinfo is not None else 0
