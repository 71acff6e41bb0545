"""The durable workflow engine, behind an interface that names no engine.

A workflow is a plain function of JSON values that calls steps through its `Context`. It survives
kill -9: finished steps are replayed from their records. A step that was running when the process
died is run again only if declared idempotent; otherwise it is reported as interrupted (promise P3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Json = Any


class StepInterrupted(Exception):
    """A step that is not idempotent was cut off by a crash or a timeout: its effect is unknown."""


class StepFailed(Exception):
    """A step raised; the message is kept and replayed."""


class Context(Protocol):
    """What a workflow may use. Everything else must be deterministic."""

    workflow_id: str

    def step(self, name: str, call: Callable[[], Json], *, idempotent: bool, timeout_s: float = 60.0) -> Json:
        """Run `call` once and record its JSON result; on replay return the record.

        Raises:
            StepFailed: `call` raised, now or before a crash.
            StepInterrupted: A crash or the timeout cut this step off and it is not idempotent.
        """
        ...

    def receive(self, topic: str, timeout_s: float) -> Json | None:
        """Wait durably for a message to this workflow; None after the timeout."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait durably."""
        ...


Workflow = Callable[[Context, Mapping[str, Json]], Json]


class Workflows(Protocol):
    """The engine: registers workflows, starts them by id, delivers messages."""

    def register(self, name: str, workflow: Workflow) -> None:
        """Make a workflow known; before `launch`."""
        ...

    def launch(self) -> None:
        """Begin to work, first recovering what a crash left behind."""
        ...

    def start(self, name: str, workflow_id: str, arguments: Mapping[str, Json]) -> None:
        """Start once per id; the same id again does nothing."""
        ...

    def send(self, workflow_id: str, topic: str, message: Json) -> None:
        """Deliver a message durably, also while no worker runs."""
        ...

    def result(self, workflow_id: str, timeout_s: float) -> Json:
        """Wait for the result.

        Raises:
            StepFailed: The workflow itself raised.
            Unavailable: It did not end in time.
        """
        ...

    def close(self) -> None:
        """Stop working; unfinished workflows go on at the next launch."""
        ...
