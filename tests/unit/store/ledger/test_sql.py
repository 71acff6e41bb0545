"""What is SQLite's own, and how databases' troubles become ours."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from twofold.errors import ConfigError, Corrupt, StorageFull, Unavailable
from twofold.records.access import Setting
from twofold.records.alert import Severity
from twofold.records.codec import encode
from twofold.records.incident import Incident, IncidentState
from twofold.store.ledger import migrations
from twofold.store.ledger.engine import Connections
from twofold.store.ledger.sql import open_ledger
from twofold.store.ledger.tables import METADATA, SPECS


def a_setting(number: int = 0, value: str = "v") -> Setting:
    return Setting(id=str(number), value=value, changed=datetime(2026, 1, 1, tzinfo=UTC), author="ann")


def test_the_file_is_in_wal_mode_and_every_commit_is_synced(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "l.sqlite", busy_timeout_s=1.5)
    with connections.read() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        assert asked == {"journal_mode": "wal", "synchronous": 2}
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1500
    connections.close()


def test_migrations_make_exactly_the_tables_of_the_specs(tmp_path: Path) -> None:
    """So a new `Spec` without a migration, or the other way round, fails here."""
    open_ledger(tmp_path / "l.sqlite").close()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/l.sqlite")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert {spec.name for spec in SPECS} < set(sa.inspect(connection).get_table_names())
    engine.dispose()


def test_incidents_of_the_first_version_are_told_apart_by_their_merger(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    connections = Connections(path, busy_timeout_s=1.0)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with connections.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        insert = sa.text("INSERT INTO incidents (tenant, id, at_us, body) VALUES ('main', :id, 1, :body)")
        for key, merged_into in (("a", ""), ("b", "a")):
            present = Incident(
                id=key,
                title="slow",
                state=IncidentState.RESOLVED,
                severity=Severity.WARNING,
                start=datetime(2026, 1, 1, tzinfo=UTC),
                detected=datetime(2026, 1, 1, tzinfo=UTC),
                last_seen=datetime(2026, 1, 1, tzinfo=UTC),
                merged_into=merged_into,
            )
            connection.execute(insert, {"id": key, "body": encode(present)})
        old = encode(replace(present, id="c")).replace(',"merged_into":"a"', "")
        assert "merged_into" not in old
        connection.execute(insert, {"id": "c", "body": old})
    connections.close()
    ledger = open_ledger(path)
    alone = ledger.find(Incident, tenant="main", where={"merged_into": ""})
    assert sorted(each.id for each in alone) == ["a", "c"]
    assert [each.id for each in ledger.find(Incident, tenant="main", where={"merged_into": "a"})] == ["b"]
    ledger.close()


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    open_ledger(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(ConfigError, match="9999"):
        open_ledger(path)


def test_an_unknown_database_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="mysql"):
        open_ledger("mysql://somewhere/ledger")


def test_a_writer_that_waits_too_long_says_come_back_and_readers_never_wait(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    ledger = open_ledger(path, busy_timeout_s=0.05)
    ledger.put(a_setting())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        ledger.put(a_setting(value="w"))
    assert ledger.get(Setting, "0", tenant="main").value == "v"
    other.execute("ROLLBACK")
    other.close()
    ledger.put(a_setting(value="w"))
    ledger.close()


def test_a_full_disk_refuses_writes_whole_and_reads_go_on(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    ledger = open_ledger(path)
    ledger.put(a_setting())
    engine = ledger._connections.engine
    sa.event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(StorageFull):
        ledger.put(*(a_setting(number, "long" * 500) for number in range(1, 200)))
    assert [setting.id for setting in ledger.find(Setting, tenant="main")] == ["0"]
    ledger.close()


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(Corrupt):
        open_ledger(path)


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_ledger(tmp_path / "nowhere" / "l.sqlite")


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_ledger(f"postgresql://twofold@/ledger?host={tmp_path}")
