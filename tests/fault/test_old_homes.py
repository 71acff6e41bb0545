"""Data of older versions opens, and a ledger killed at any statement of a migration is whole and goes on from there."""

from __future__ import annotations

import json
import shutil
import signal
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.fault.home import Home
from tests.fault.nursery import Nursery
from tests.telemetry import NOON, SECOND
from twofold.flow.watch import read_cursor
from twofold.records.access import Audit, Setting
from twofold.records.event import Event
from twofold.store.backup.checks import check_home
from twofold.store.ledger.audit import check_chain
from twofold.store.ledger.sql import open_ledger
from twofold.store.ledger.tables import METADATA

HOMES = Path(__file__).parent / "homes"
LINES = {f"s{number}-{row}" for number in range(9) for row in range(3)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A home as the first version left it: six sends in the history, three in the journal alone.

    Its ledger has schema 0001, its blobs, positions and files no checksums, its log no copies.
    """
    with tarfile.open(HOMES / "schema-0001.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "home"


def test_a_home_of_the_first_version_opens_with_all_it_held_and_goes_on(old: Path) -> None:
    facts = json.loads((old / "facts.json").read_text())
    with Home(old) as home:
        home.send("new")
        assert home.runner.progress.refused_builds == 0
        home.runner.drain()
        home.recorder.drain()
        home.recorder.flush()
        lines = home.history.query("SELECT body FROM logs", tenant="main")["body"].to_pylist()
        assert sorted(lines) == sorted(LINES | {f"new-{row}" for row in range(3)})
        for number in range(9):
            (series,) = home.catalog.find(tenant="main", metric="sent", labels={"who": f"s{number}"})
            found = home.history.samples([series.sid], NOON, NOON + 60 * SECOND, tenant="main").to_pylist()
            assert [(row["time_ns"], row["value"]) for row in found] == [(NOON + number * SECOND, number + 0.5)]
        assert home.history.pinned(facts["pinned"], "FROM logs", tenant="main").num_rows == 18
        assert home.blobs.get(facts["blob"]) == b"a model of before"
        assert read_cursor(home.blobs, "cursors/worker") == 7
        assert {event.id for event in home.ledger.find(Event, tenant="main", limit=1000)} == set(lines)
        chain = home.ledger.find(Audit, tenant="main", newest_first=False)
        check_chain(chain)
        assert [entry.target for entry in chain] == [str(number) for number in range(6)]
        assert home.ledger.get(Setting, "kill-switch", tenant="main").value == "released"
        home.history.compact()
    assert list(check_home(old)) == []


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.fault.migrating") as opened:
        yield opened


def statements(nursery: Nursery, ledger: Path, when: str) -> int:
    assert nursery.run("open_until", str(ledger), 0, when) == 0
    return int(ledger.with_suffix(".statements").read_text())


def kill_at_statements(nursery: Nursery, base: Path | None, root: Path, every: int) -> int:
    """Kill before and after each n-th statement; whoever opens it next finds all tables and all records."""
    kills = 0
    for when in ("before", "after"):
        counted = root / f"counted-{when}.sqlite"
        if base:
            shutil.copy(base, counted)
        count = statements(nursery, counted, when)
        assert count > 10
        for number in range(1, count + 1, every):
            path = root / f"{when}-{number}.sqlite"
            if base:
                shutil.copy(base, path)
            assert nursery.run("open_until", str(path), number, when) == -signal.SIGKILL
            kills += 1
            ledger = open_ledger(path)
            events = ledger.count(Event, tenant="main")
            ledger.put(Setting(id="x", value="y", changed=datetime(2026, 1, 1, tzinfo=UTC), author="ann"))
            ledger.close()
            assert events == (18 if base else 0)
            engine = sa.create_engine(f"sqlite:///{path}")
            with engine.connect() as connection:
                assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
            engine.dispose()
    return kills


def test_a_ledger_killed_within_a_migration_is_whole(nursery: Nursery, old: Path, tmp_path: Path) -> None:
    assert kill_at_statements(nursery, old / "ledger.sqlite", tmp_path, every=5)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_ledger_killed_at_any_statement_of_a_migration_is_whole(nursery: Nursery, old: Path, tmp_path: Path) -> None:
    for name, base in (("old", old / "ledger.sqlite"), ("new", None)):
        (tmp_path / name).mkdir()
        assert kill_at_statements(nursery, base, tmp_path / name, every=1)
