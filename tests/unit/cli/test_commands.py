"""Commands against a real server: JSON for programs, tables for people, exit codes for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.api_world import NOW, World, a_release, an_execution, build_world
from tests.serving import serving
from twofold.cli.client import CLIENT_FILE
from twofold.cli.main import app
from twofold.cli.output import ago
from twofold.records.access import Role
from twofold.records.alert import Severity
from twofold.records.diagnosis import Diagnosis, Evidence, EvidenceKind, Suspect
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.model import GateResult, ModelKind, ModelVersion, Run, RunState
from twofold.records.slo import Slo, waiting
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = build_world(tmp_path_factory.mktemp("world"))
    gate = GateResult(name="recall", passed=True, value=1, limit=1, text="found all")
    evidence = Evidence(kind=EvidenceKind.CHANGE, text="1.4.0 went out", ref="c1", start=NOW, end=NOW)
    built.ledger.put(
        Incident(
            id="i1",
            title="cart: slow",
            state=IncidentState.OPEN,
            severity=Severity.WARNING,
            start=NOW,
            detected=NOW,
            last_seen=NOW,
            entities=("service:cart",),
        ),
        Diagnosis(
            id="i1",
            incident="i1",
            time=NOW,
            ranker="causes@1",
            suspects=(Suspect(entity="service:cart", reason="slow", score=0.8, evidence=(evidence,)),),
        ),
        TimelineEntry(id="t1", incident="i1", time=NOW, kind=TimelineKind.OPENED, text="Opened: cart: slow"),
        an_execution(),
        ModelVersion(
            id="ranker@1",
            model="ranker",
            version="1",
            kind=ModelKind.RANKER,
            format="config",
            artifact="sha256/0",
            artifact_sha256="0",
            created=NOW,
            gates=(gate,),
        ),
        ModelVersion(
            id="capacity@1",
            model="capacity",
            version="1",
            kind=ModelKind.FORECASTER,
            format="config",
            artifact="sha256/0",
            artifact_sha256="0",
            created=NOW,
            gates=(gate,),
        ),
        a_release(),
        Run(id="run-1", project="p", model="m", state=RunState.SUCCEEDED, started=NOW, metrics={"auc": 0.9}),
    )
    yield built
    built.close()


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    with serving(world.api) as client:
        yield str(client.base_url)


class Shell:
    """Runs commands as the user of one role."""

    def __init__(self, world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world, self._url, self._monkeypatch = world, url, monkeypatch

    def run(self, *arguments: str, role: Role = Role.ADMIN) -> Result:
        """Exit code and output of a command."""
        self._monkeypatch.setenv("TWOFOLD_URL", self._url)
        self._monkeypatch.setenv("TWOFOLD_TOKEN", self._world.token(role))
        return CliRunner().invoke(app, list(arguments))

    def json(self, *arguments: str, role: Role = Role.VIEWER) -> Any:
        """The one JSON document that a command prints."""
        ended = self.run(*arguments, "-o", "json", role=role)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)


@pytest.fixture
def shell(world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(world, url, monkeypatch)


def test_every_reading_command_gives_the_answer_as_json(shell: Shell) -> None:
    assert shell.json("status")["open_incidents"][0]["id"] == "i1"
    assert [one["id"] for one in shell.json("incidents", "list")["items"]] == ["i1"]
    assert shell.json("incidents", "list", "--state", "resolved")["items"] == []
    assert shell.json("incidents", "show", "i1")["diagnosis"]["suspects"][0]["entity"] == "service:cart"
    assert [one["model"] for one in shell.json("models", "list")["items"]] == ["capacity", "ranker"]
    assert shell.json("models", "show", "ranker")["releases"][0]["stage"] == "live"
    listed = {one["model"]: one["live_version"] for one in shell.json("detectors", "list")["items"]}
    assert listed == {"capacity": "", "ranker": "1"}, "a forecaster is one of ours, too"
    assert shell.json("runbook", "list") == {"items": [], "next": ""}
    assert shell.json("runbook", "executions", "--incident", "i1")["items"][0]["id"] == "e1"
    assert shell.json("demo", "faults")["faults"][0]["name"] == "latency"
    assert shell.json("train", "p", role=Role.ML_ENGINEER)["state"] == "succeeded"


def test_an_objective_without_requests_is_not_one_that_is_undeclared(shell: Shell, world: World) -> None:
    assert "No objective is declared" in shell.run("slos").stdout
    world.ledger.put(waiting(Slo(name="orders", entity="service:cart"), NOW))
    told = shell.run("slos").stdout
    assert "orders" in told
    assert "waiting" in told
    assert "100%" not in told


def test_people_read_tables_and_sentences(shell: Shell) -> None:
    assert "1 open incidents" in shell.run("status").stdout
    assert "cart: slow" in shell.run("incidents", "list").stdout
    shown = shell.run("incidents", "show", "i1").stdout
    for text in ("1. service:cart  80%  slow", "change: 1.4.0 went out", "Opened: cart: slow", "Restart cart"):
        assert text in shown
    assert "1 passed" in shell.run("models", "show", "ranker").stdout
    assert "latency" in shell.run("demo", "faults").stdout
    assert "No incident." in shell.run("incidents", "list", "--state", "resolved").stdout


def test_lines_are_found_by_a_part_of_them(shell: Shell, world: World) -> None:
    line = {"entity": "service:cart", "trace_id": "", "span_id": "", "attributes": "{}"}
    for number, (severity, body) in enumerate([(9, "kernel: Out of memory"), (17, "kernel: panic"), (9, "ok")]):
        told = {"time_ns": to_ns(NOW) - number * SECOND_NS, "severity": severity, "body": body}
        world.history.add(Table.LOGS, line | told)
    assert [one["body"] for one in shell.json("logs", "search", "OUT of mem")["items"]] == ["kernel: Out of memory"]
    assert [one["body"] for one in shell.json("logs", "search", "kernel", "--errors")["items"]] == ["kernel: panic"]
    said = shell.run("logs", "search", "kernel", "--entity", "service:cart").stdout.splitlines()
    assert [each.rpartition("  ")[2] for each in said] == ["kernel: panic", "kernel: Out of memory"]
    assert "No line holds that." in shell.run("logs", "search", "kernel", "--until", "2020-01-01T00:00:00Z").stdout


def test_acting_commands_reach_the_server(shell: Shell, world: World) -> None:
    world.asked.calls.clear()
    for command in (
        ["incidents", "acknowledge", "i1"],
        ["runbook", "run", "restart", "--incident", "i1", "--entity", "service:cart", "--dry-run"],
        ["runbook", "approve", "e1"],
        ["runbook", "reject", "e1", "--reason", "no"],
        ["release", "ranker", "1", "canary", "--reason", "try", "--weight", "0.1"],
        ["models", "rollback", "ranker", "--reason", "worse"],
        ["demo", "break", "latency", "--seconds", "5"],
        ["demo", "mend", "latency"],
    ):
        ended = shell.run(*command)
        assert ended.exit_code == 0, ended.output
    names = [name for name, _ in world.asked.calls]
    assert names == ["propose", "approve", "reject", "release", "rollback", "break", "mend"]
    assert world.ledger.get(Incident, "i1", tenant="main").state is IncidentState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("arguments", "role", "code"),
    [
        (["incidents", "show", "absent"], Role.ADMIN, 5),
        (["demo", "break", "absent"], Role.ADMIN, 5),
        (["runbook", "approve", "e1", "--hash", "0" * 64], Role.ADMIN, 6),
        (["incidents", "acknowledge", "i1"], Role.VIEWER, 4),
        (["release", "ranker", "1", "live", "--reason", "x"], Role.RESPONDER, 4),
        (["detectors", "backtest", "capacity", "1"], Role.ADMIN, 2),
        (["detectors", "compare", "nope", "2"], Role.ADMIN, 5),
        (["release", "ranker", "1", "nowhere", "--reason", "x"], Role.ADMIN, 2),
    ],
)
def test_a_refusal_is_a_sentence_and_a_code(shell: Shell, arguments: list[str], role: Role, code: int) -> None:
    ended = shell.run(*arguments, role=role)
    assert ended.exit_code == code, ended.output
    assert ended.stderr.startswith("twofold: ")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_without_credentials_it_is_denied(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_URL", url)
    monkeypatch.setenv("TWOFOLD_TOKEN", "wrong")
    ended = CliRunner().invoke(app, ["status"])
    assert ended.exit_code == 4, ended.output


def test_the_server_of_the_folder_at_hand_is_asked(
    world: World, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`twofold up` leaves address and token there for its owner."""
    for name in ("TWOFOLD_URL", "TWOFOLD_TOKEN", "TWOFOLD_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".twofold").mkdir()
    (tmp_path / ".twofold" / CLIENT_FILE).write_text(json.dumps({"url": url, "token": world.token(Role.VIEWER)}))
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["incidents", "list", "-o", "json"])
    assert json.loads(ended.stdout)["items"][0]["id"] == "i1"


def test_a_failed_training_ends_with_1(shell: Shell, world: World) -> None:
    run = world.ledger.get(Run, "run-1", tenant="main")
    failed = Run(id="run-1", project="p", model="m", state=RunState.FAILED, started=NOW, error="no data")
    world.ledger.put(failed)
    ended = shell.run("train", "p")
    world.ledger.put(run)
    assert ended.exit_code == 1
    assert "no data" in ended.stdout


def test_ages_are_short() -> None:
    now = datetime.now(UTC)
    ages = {(now.timestamp() - seconds): text for seconds, text in ((5, "5 s"), (600, "10 min"), (7300, "2 h"))}
    for time, text in ages.items():
        assert ago(datetime.fromtimestamp(time, UTC).isoformat()) == text
    assert ago(None) == ago("") == "-"
