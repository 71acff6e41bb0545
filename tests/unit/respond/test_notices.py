"""A notice reaches a real webhook once per incident, state and channel, also when that is away at first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.respond.conftest import NOW, diagnosis
from twofold.aiops.respond import notices
from twofold.aiops.respond.notices import Channel, NoticeConfig, Notices
from twofold.flow.outgoing import Outgoing, OutgoingConfig
from twofold.flow.workflow import StepFailed
from twofold.flow.workflow.dbos import DbosWorkflows, WorkflowConfig
from twofold.records.alert import Alert, AlertKind, AlertState, Severity
from twofold.records.incident import Incident, IncidentState
from twofold.records.model import Release, ReleaseStage


@dataclass
class Hook:
    """A webhook: answers with these statuses in turn, then 200; notes who told it what."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """Idempotency keys in the order of calls."""
        return [key for _, key, _ in self.calls]


@pytest.fixture
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            state.calls.append((self.headers.get("authorization", ""), self.headers["idempotency-key"], body))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()


class Rig:
    """Notices over the real workflow engine."""

    def __init__(self, home: Path, hook: Hook, *, attempts: int = 4) -> None:
        channels = [
            Channel(name="chat", url=f"{hook.url}/chat", headers={"authorization": "Bearer s"}),
            Channel(name="pager", url=f"{hook.url}/pager"),
        ]
        outgoing = Outgoing([channel.url for channel in channels], OutgoingConfig(timeout_s=5))
        self.notices = Notices(
            channels, outgoing, base_url="http://twofold", config=NoticeConfig(attempts=attempts, pause_s=0.01)
        )
        self.workflows = DbosWorkflows(WorkflowConfig(url=f"sqlite:///{home / 'workflows.sqlite'}", threads=4))
        self.workflows.register(notices.NAME, self.notices.run)
        self.workflows.launch()

    def result(self, incident: Incident, channel: str) -> Any:
        """How the delivery ended."""
        return self.workflows.result(f"notice:main:{incident.id}:{incident.state}:{channel}", 30)


@pytest.fixture
def rig(tmp_path: Path, hook: Hook) -> Iterator[Rig]:
    made = Rig(tmp_path, hook)
    yield made
    made.workflows.close()


def _incident(key: str = "inc-1", state: IncidentState = IncidentState.OPEN) -> Incident:
    return Incident(
        id=key,
        title="checkout: errors",
        state=state,
        severity=Severity.CRITICAL,
        start=NOW,
        detected=NOW,
        last_seen=NOW,
        entities=("service:checkout",),
    )


def test_every_channel_is_told_what_happened_and_where_to_look(rig: Rig, hook: Hook) -> None:
    incident = _incident()
    rig.notices.tell(rig.workflows, incident, diagnosis())
    for channel in ("chat", "pager"):
        assert rig.result(incident, channel) == {"delivered": True, "status": 200}
    assert sorted(hook.keys) == ["notice:main:inc-1:open:chat", "notice:main:inc-1:open:pager"]
    assert {secret for secret, _, _ in hook.calls} == {"Bearer s", ""}
    body = hook.calls[0][2]
    assert body["type"] == "twofold.notice/1"
    assert (body["incident"], body["state"], body["severity"]) == ("inc-1", "open", "critical")
    assert body["suspects"] == [{"entity": "service:checkout", "reason": "errors since its deploy", "score": 0.9}]
    assert body["url"] == "http://twofold/incidents/inc-1"


def test_a_state_is_told_once_and_the_next_state_again(rig: Rig, hook: Hook) -> None:
    """The incident is rewritten with every sample; that is no news."""
    for state in (IncidentState.OPEN, IncidentState.RESOLVED):
        for number in range(5):
            rig.notices.tell(rig.workflows, replace(_incident(state=state), title=f"take {number}"), None)
        rig.result(_incident(state=state), "chat")
        rig.result(_incident(state=state), "pager")
    assert len(hook.keys) == len(set(hook.keys)) == 4


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_webhook_that_is_away_at_first_is_told_in_the_end(rig: Rig, hook: Hook, status: int) -> None:
    hook.answers = [status] * 4
    incident = _incident()
    rig.notices.tell(rig.workflows, incident, None)
    for channel in ("chat", "pager"):
        assert rig.result(incident, channel)["delivered"] is True
    assert len(hook.calls) == 6
    assert len(set(hook.keys)) == 2, "each further try carries the same key"


def test_a_webhook_that_refuses_is_not_asked_again_and_the_others_are_told(rig: Rig, hook: Hook) -> None:
    hook.answers = [400]
    incident = _incident()
    rig.notices.tell(rig.workflows, incident, None)
    ends = []
    for channel in ("chat", "pager"):
        with suppress(StepFailed):
            ends.append(rig.result(incident, channel))
    assert ends == [{"delivered": True, "status": 200}]
    assert len(hook.calls) == 2


def test_it_gives_up_after_its_attempts(tmp_path: Path, hook: Hook) -> None:
    rig = Rig(tmp_path, hook, attempts=2)
    hook.answers = [503] * 100
    incident = _incident()
    rig.notices.tell(rig.workflows, incident, None)
    for channel in ("chat", "pager"):
        with pytest.raises(StepFailed, match="answered 503"):
            rig.result(incident, channel)
    rig.workflows.close()
    assert len(hook.calls) == 4


def test_backfilled_incidents_are_told_to_nobody(rig: Rig, hook: Hook) -> None:
    rig.notices.tell(rig.workflows, replace(_incident("old"), backfilled=True), None)
    rig.notices.tell(rig.workflows, _incident("new"), None)
    for channel in ("chat", "pager"):
        rig.result(_incident("new"), channel)
    assert {body["incident"] for _, _, body in hook.calls} == {"new"}


def test_a_channel_that_was_taken_out_of_the_settings_ends_its_notices(rig: Rig, hook: Hook) -> None:
    rig.workflows.start(notices.NAME, "late", {"channel": "gone", "key": "late", "body": {}})
    assert rig.workflows.result("late", 30)["delivered"] is False
    assert hook.calls == []


class Started:
    """Workflows that note what was started."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def start(self, name: str, key: str, arguments: dict[str, Any]) -> None:
        assert name == notices.NAME
        assert arguments["body"]["type"] == "twofold.notice/1"
        self.keys.append(key)


def test_predictions_reach_only_channels_that_asked_for_them_and_a_rollback_reaches_all() -> None:
    channels = (Channel(name="ops", url="http://a"), Channel(name="planning", url="http://b", predictions=True))
    told = Notices(channels, Outgoing(trusted=[]), base_url="http://here")
    alert = Alert(
        id="predicted-f1",
        fingerprint="p",
        entity="host:db",
        signal="system.filesystem.utilization",
        title="db: disk /data full in 2 h",
        state=AlertState.FIRING,
        severity=Severity.INFO,
        start=NOW,
        last_seen=NOW,
        kind=AlertKind.PREDICTED,
    )
    started = Started()
    told.foretell(started, alert)  # type: ignore[arg-type]  # only `start` is called
    told.foretell(started, replace(alert, backfilled=True))  # type: ignore[arg-type]  # as above
    told.foretell(started, replace(alert, kind=AlertKind.OBSERVED))  # type: ignore[arg-type]  # as above
    assert started.keys == ["notice:main:predicted-f1:firing:planning"]
    release = Release(
        id="panel#4",
        model="panel",
        version="2",
        stage=ReleaseStage.ROLLED_BACK,
        seq=4,
        time=NOW,
        weight=0.0,
        previous="1",
        approver="twofold",
        reason="lost trust",
    )
    told.taken_back(started, release)  # type: ignore[arg-type]  # as above
    assert started.keys[1:] == ["notice:main:release:panel#4:ops", "notice:main:release:panel#4:planning"]
