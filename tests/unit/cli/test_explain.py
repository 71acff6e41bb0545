"""`twofold findings` and `twofold logs` against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from tests.api_world import NOW, World, build_world
from tests.serving import serving
from tests.unit.api.test_incidents import a_finding, an_alert, an_incident
from tests.unit.api.test_templates import rows
from twofold.aiops.detect.mining.board import Board
from twofold.aiops.detect.mining.stage import Mining
from twofold.api.app import create_api
from twofold.cli.main import app
from twofold.cli.output import table
from twofold.records.access import Role
from twofold.records.columns import LOGS, Logs
from twofold.records.time import to_ns
from twofold.records.why import Silencer, SilencerKind, Why
from twofold.store.history import Table

Shell = Callable[..., Result]
BUDGET = Silencer(
    kind=SilencerKind.BUDGET,
    text="Silent at a budget of 0.01",
    setting='floors=["m=2"]',
    now=0.05,
    needed=0.01,
    tried=True,
)


class Told:
    """An explainer that always says the same."""

    def why(self, *_: object) -> Why:
        return Why(reasons=("Expected was 0.1 s",), silencers=(BUDGET,), replayed=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = build_world(tmp_path_factory.mktemp("world"))
    built.ledger.put(a_finding(), an_alert(), an_incident(), a_finding(id="f2", series="aa", score=3.0))
    stage, board = Mining(built.catalog), Board()
    lines = sorted(rows(to_ns(NOW)), key=lambda row: int(row["time_ns"]))
    built.history.add(Table.LOGS, *lines)
    stage.process([Logs(data=pa.RecordBatch.from_pylist(lines, schema=LOGS), tenant="main")])
    stage.advance(to_ns(NOW))
    board.attach(stage)
    built.api = create_api(replace(built.services, templates=board, explain=Told()))
    yield built
    del stage
    built.close()


@pytest.fixture
def shell(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with serving(world.api) as client:
        monkeypatch.setenv("TWOFOLD_URL", str(client.base_url))
        monkeypatch.setenv("TWOFOLD_TOKEN", world.token(Role.VIEWER))
        monkeypatch.setenv("COLUMNS", "160")
        yield lambda *words: CliRunner().invoke(app, list(words))


def test_an_explanation_reads_as_text(shell: Shell) -> None:
    said = shell("findings", "explain", "f1").output
    for part in (
        "p95 is 1 s, expected at most 0.2 s",
        "in incident cart is slow [i1]",
        "- Expected was 0.1 s",
        "75%  span.duration.p95: 5.0 usual deviations up  (this one)",
        "- Nothing like it is known.",
        "- Silent at a budget of 0.01 (tried)",
        "[twofold detectors new panel --set 'floors=[\"m=2\"]']",
    ):
        assert part in said


def test_without_an_id_the_newest_are_explained_and_json_holds_all(shell: Shell) -> None:
    assert len(json.loads(shell("findings", "explain", "-o", "json").output)) == 2
    assert json.loads(shell("findings", "explain", "f1", "-o", "json").output)["finding"]["id"] == "f1"
    assert shell("findings", "explain", "nope").exit_code == 5


def test_findings_are_listed(shell: Shell) -> None:
    assert "p95 is 1 s" in shell("findings", "list").output
    assert len(json.loads(shell("findings", "list", "-o", "json").output)["items"]) == 2


def test_templates_are_found_by_a_question_and_their_lines_read(shell: Shell) -> None:
    listed = shell("logs", "templates").output
    assert "order <*> paid" in listed
    first = json.loads(shell("logs", "templates", "card was denied", "-o", "json").output)["items"][0]
    assert first["text"] == "bank <*> refused card <*>"
    assert first["id"] in shell("logs", "templates", "refused", "--text").output, "an id is never cut"
    lines = shell("logs", "lines", first["id"], "--limit", "2").output.splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == ["bank 7 refused card 116", "bank 7 refused card 118"]


def test_text_that_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table(("text",), [("[instance: 7] [bold]destroyed",)], empty="")
    assert "[instance: 7] [bold]destroyed" in capsys.readouterr().out


def test_nothing_found_is_said(shell: Shell) -> None:
    assert shell("logs", "templates", "zebra").output == "No template is near that.\n"
    assert shell("logs", "lines", "0" * 16).exit_code == 5
