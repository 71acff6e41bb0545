"""Durable workflows on DBOS: SQLite on one machine, PostgreSQL beyond.

DBOS records every finished step. Two things are added here: values are JSON (its default is
pickle), and a step that a crash cut off is not silently run again (promise P3): before a step
runs, the token of this process is recorded; on recovery a recorded token of another process
with no result beside it means that the step was interrupted.
"""

from __future__ import annotations

import fcntl
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from dbos import DBOS, SetWorkflowID
from dbos._serialization import Serializer

from twofold.errors import Conflict, NotFound, Unavailable
from twofold.flow.workflow import Json, StepFailed, StepInterrupted, Workflow
from twofold.store.failpoints import reach

_DELICATE_S: Final = 8.0
APPLICATION_VERSION = "1"  # explicit: DBOS would hash the source and then not recover what older code left


class JsonSerializer(Serializer):
    """JSON text instead of pickle: nothing that is read back can run code."""

    def serialize(self, data: Any) -> str:
        """JSON text of a value. Raises `TypeError` for what JSON cannot hold."""
        return orjson.dumps(data, default=_plain).decode()

    def deserialize(self, serialized_data: str) -> Any:
        """The value of a JSON text."""
        return orjson.loads(serialized_data)

    def name(self) -> str:
        """Mark that DBOS keeps beside each value."""
        return "twofold_json"


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise TypeError(f"a workflow value must be JSON, not {type(value).__name__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowConfig:
    """Where and how durable workflows run.

    Attributes:
        url: SQLAlchemy URL of the engine's own database.
        poll_s: How often messages to waiting workflows are looked for.
        threads: Workflows at work at the same time.
    """

    url: str
    poll_s: float = 0.2
    threads: int = 16


class DbosWorkflows:
    """The engine on DBOS. One instance a process, one working process a database file.

    Args:
        config: See `WorkflowConfig`.
        lease: Lock file that only one working process may hold; None where the database serves many.

    Raises:
        Conflict: Another process holds the lease.
    """

    def __init__(self, config: WorkflowConfig, *, lease: Path | None = None) -> None:
        self._lease = _take_lease(lease) if lease else None
        self._workflows: dict[str, Workflow] = {}
        self._token = uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="workflow-step")
        self._delicate: set[Future[Json]] = set()
        DBOS(
            config={
                "name": "twofold",
                "system_database_url": config.url,
                "application_version": APPLICATION_VERSION,
                "executor_id": "twofold",
                "serializer": JsonSerializer(),
                "log_level": "ERROR",
                "notification_listener_polling_interval_sec": config.poll_s,
                "max_executor_threads": config.threads,
                "run_migrations": True,
            }
        )

        def run(name: str, workflow_id: str, arguments: Mapping[str, Json]) -> Json:
            return self._dispatch(name, workflow_id, arguments)

        self._run = DBOS.workflow(name="twofold.run")(run)

    def register(self, name: str, workflow: Workflow) -> None:
        """Make a workflow known; before `launch`."""
        self._workflows[name] = workflow

    def launch(self) -> None:
        """Begin to work, first recovering what a crash left behind."""
        DBOS.launch()

    def start(self, name: str, workflow_id: str, arguments: Mapping[str, Json]) -> None:
        """Start once per id; the same id again does nothing. Raises `NotFound` for an unknown workflow."""
        if name not in self._workflows:
            raise NotFound(f"no workflow {name!r}; known: {sorted(self._workflows)}", workflow=name)
        with SetWorkflowID(workflow_id):
            DBOS.start_workflow(self._run, name, workflow_id, dict(arguments))

    def send(self, workflow_id: str, topic: str, message: Json) -> None:
        """Deliver a message durably."""
        DBOS.send(workflow_id, message, topic)

    def result(self, workflow_id: str, timeout_s: float) -> Json:
        """Wait for the result. Raises `StepFailed` when the workflow raised, `Unavailable` on timeout."""
        found: list[Json] = []

        def retrieve() -> None:
            found.append(DBOS.retrieve_workflow(workflow_id).get_result())

        thread = threading.Thread(target=retrieve, name=f"wait-{workflow_id}", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if not found:
            raise Unavailable(f"workflow {workflow_id} did not end within {timeout_s} s", workflow=workflow_id)
        outcome = found[0]
        if outcome["error"]:
            raise StepFailed(outcome["error"])
        return outcome["value"]

    def close(self) -> None:
        """Stop working; unfinished workflows go on at the next launch.

        A step that must not be cut off is given some seconds to end. Others may still run when this returns.
        """
        wait(list(self._delicate), timeout=_DELICATE_S)
        DBOS.destroy()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._lease is not None:
            self._lease.close()

    def _dispatch(self, name: str, workflow_id: str, arguments: Mapping[str, Json]) -> Json:
        context = _DbosContext(workflow_id, self._token, self._begin)
        try:
            return {"value": self._workflows[name](context, arguments), "error": ""}
        except Exception as error:  # noqa: BLE001 - the task runner's boundary: the outcome is recorded, never lost
            return {"value": None, "error": f"{type(error).__name__}: {error}"}

    def _begin(self, call: Callable[[], Json], idempotent: bool) -> Future[Json]:  # noqa: FBT001 - a step's own word
        future = self._pool.submit(call)
        if not idempotent:
            self._delicate.add(future)
            future.add_done_callback(self._delicate.discard)
        return future


class _DbosContext:
    def __init__(self, workflow_id: str, token: str, begin: Callable[[Callable[[], Json], bool], Future[Json]]) -> None:
        self.workflow_id = workflow_id
        self._token = token
        self._begin = begin

    def step(self, name: str, call: Callable[[], Json], *, idempotent: bool, timeout_s: float = 60.0) -> Json:
        """See `flow.workflow.Context.step`."""
        begun_by = DBOS.run_step({"name": f"{name}:begin"}, lambda: self._token)

        def body() -> Json:
            if begun_by != self._token and not idempotent:
                return {"interrupted": f"step {name!r} was running when its process died"}
            reach("workflow.step")
            try:
                value = self._begin(call, idempotent).result(timeout_s)
            except FutureTimeout:
                text = f"step {name!r} did not end within {timeout_s} s"
                return {"error": text} if idempotent else {"interrupted": text}
            except Exception as error:  # noqa: BLE001 - the task runner's boundary: recorded and raised as StepFailed
                return {"error": f"{type(error).__name__}: {error}"}
            reach("workflow.step")
            return {"value": value}

        outcome = DBOS.run_step({"name": name}, body)
        if "interrupted" in outcome:
            raise StepInterrupted(outcome["interrupted"])
        if "error" in outcome:
            raise StepFailed(outcome["error"])
        return outcome["value"]

    def receive(self, topic: str, timeout_s: float) -> Json | None:
        """See `flow.workflow.Context.receive`."""
        return DBOS.recv(topic, timeout_seconds=timeout_s)

    def sleep(self, seconds: float) -> None:
        """See `flow.workflow.Context.sleep`."""
        DBOS.sleep(seconds)


def _take_lease(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Conflict(f"another process works on {path.parent}; stop it first", lease=str(path)) from error
    return file
