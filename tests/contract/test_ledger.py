"""Every ledger engine keeps the same promises. An engine is added to `ENGINES`; none may be skipped silently."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import cluster
from tests.strategies import records
from twofold.errors import Conflict, Corrupt, InputError, NotFound
from twofold.records.access import Audit, Role, Setting, User
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.entity import Edge, Entity, EntityKind, Relation
from twofold.records.incident import TimelineEntry, TimelineKind
from twofold.records.model import Release, ReleaseStage
from twofold.store.ledger import Ledger
from twofold.store.ledger.audit import GENESIS, append_audit, check_chain
from twofold.store.ledger.sql import SqlLedger, open_ledger
from twofold.store.ledger.tables import SPECS, Spec

ENGINES = ("sqlite", "postgres")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Open = Callable[[], SqlLedger]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with cluster() as url:
        yield url


@pytest.fixture(params=ENGINES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new, empty ledger can be opened."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    url = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    admin = sa.create_engine(url.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return str(url.format(database=name))


@pytest.fixture
def ledger(location: str) -> Iterator[SqlLedger]:
    opened = open_ledger(location)
    yield opened
    opened.close()


def an_alert(number: int = 0, **changes: object) -> Alert:
    alert = Alert(
        id=f"a{number:03d}",
        fingerprint="f",
        entity="service:cart",
        signal="latency",
        title="slow",
        state=AlertState.FIRING,
        severity=Severity.WARNING,
        start=NOON + timedelta(seconds=number),
        last_seen=NOON,
    )
    return replace(alert, **changes)  # type: ignore[arg-type]  # fields of Alert


def a_line(**changes: object) -> TimelineEntry:
    line = TimelineEntry(id="l", incident="i", time=NOON, kind=TimelineKind.NOTE, text="seen")
    return replace(line, **changes)  # type: ignore[arg-type]  # fields of TimelineEntry


def a_release(previous: Release | None) -> Release:
    seq = previous.seq + 1 if previous else 1
    return Release(
        id=f"ranker-{seq}",
        model="ranker",
        version=str(seq),
        stage=ReleaseStage.LIVE,
        seq=seq,
        time=NOON,
        weight=1.0,
        previous=previous.version if previous else "",
        approver="ann",
        reason="better",
    )


def test_there_are_engines() -> None:
    """A suite over nothing proves nothing."""
    assert len(ENGINES) >= 2


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_record_comes_back_as_it_was(ledger: Ledger, spec: Spec) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(record=records(spec.kind))
    def round_trip(record: Any) -> None:
        fresh = replace(record, tenant=uuid.uuid4().hex)
        ledger.put(fresh)
        assert ledger.get(spec.kind, spec.key(fresh), tenant=fresh.tenant) == fresh
        assert list(ledger.find(spec.kind, tenant=fresh.tenant)) == [fresh]

    round_trip()


def test_a_put_replaces_by_tenant_and_id(ledger: Ledger) -> None:
    ledger.put(an_alert(), an_alert(tenant="other"))
    ledger.put(an_alert(title="slower"))
    assert ledger.get(Alert, "a000", tenant="main").title == "slower"
    assert ledger.get(Alert, "a000", tenant="other").title == "slow"
    assert ledger.count(Alert, tenant="main") == 1


def test_a_put_is_all_or_nothing(ledger: Ledger) -> None:
    ledger.put(a_line())
    with pytest.raises(Conflict):
        ledger.put(an_alert(), a_line(text="seen by another"))
    assert ledger.count(Alert, tenant="main") == 0


def test_a_merging_put_meets_what_is_stored_in_one_transaction(ledger: Ledger) -> None:
    """What a person wrote in between survives what a stage writes."""

    def keep_acknowledged(ours: Alert, stored: Alert | None) -> Alert:
        return replace(ours, state=stored.state) if stored else ours

    ledger.put(an_alert(0), an_alert(1), a_line(), merge=keep_acknowledged)
    ledger.update(Alert, "a000", lambda alert: replace(alert, state=AlertState.ACKNOWLEDGED), tenant="main")
    ledger.put(an_alert(0, count=9), an_alert(1, count=9), merge=keep_acknowledged)
    found = ledger.find(Alert, tenant="main", newest_first=False)
    assert [(alert.state, alert.count) for alert in found] == [(AlertState.ACKNOWLEDGED, 9), (AlertState.FIRING, 9)]


def test_a_put_of_nothing_is_nothing(ledger: Ledger) -> None:
    ledger.put()
    assert ledger.head() == 0


def test_the_last_of_two_records_with_one_id_counts(ledger: Ledger) -> None:
    ledger.put(an_alert(), an_alert(title="slower"))
    assert [alert.title for alert in ledger.find(Alert, tenant="main")] == ["slower"]


def test_append_only_takes_the_same_record_again_but_no_other(ledger: Ledger) -> None:
    ledger.put(a_line())
    ledger.put(a_line())
    with pytest.raises(Conflict):
        ledger.put(a_line(text="something else"))
    with pytest.raises(Conflict):
        ledger.put(a_line(id="m"), a_line(id="m", text="something else"))
    with pytest.raises(Conflict):
        ledger.update(TimelineEntry, "l", lambda line: line, tenant="main")
    assert [line.text for line in ledger.find(TimelineEntry, tenant="main")] == ["seen"]


def test_what_is_not_there_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        ledger.get(Alert, "a000", tenant="main")
    with pytest.raises(NotFound):
        ledger.update(Alert, "a000", lambda alert: alert, tenant="main")


def test_a_type_without_a_table_and_a_column_that_is_none_are_refused(ledger: Ledger) -> None:
    with pytest.raises(InputError):
        ledger.put(object())
    with pytest.raises(InputError):
        ledger.find(Alert, tenant="main", where={"title": "slow"})
    with pytest.raises(InputError):
        ledger.find(Alert, tenant="main", after="no such alert")


def test_find_filters_by_key_columns_where_a_list_means_any_of(ledger: Ledger) -> None:
    ledger.put(*(an_alert(number, state=state) for number, state in enumerate(AlertState)))
    where = {"state": [AlertState.FIRING, AlertState.RESOLVED]}
    assert {alert.state for alert in ledger.find(Alert, tenant="main", where=where)} == set(where["state"])
    assert ledger.count(Alert, tenant="main", where=where) == 2
    assert ledger.count(Alert, tenant="main", where={"state": AlertState.FIRING, "backfilled": False}) == 1
    assert ledger.find(Alert, tenant="main", where={"state": []}) == []
    assert [a.id for a in ledger.find(Alert, tenant="main", where={"id": ["a001"]})] == ["a001"]


def test_find_and_count_take_the_half_open_window_of_time(ledger: Ledger) -> None:
    ledger.put(*(an_alert(number) for number in range(5)))
    window: dict[str, Any] = {"since": NOON + timedelta(seconds=1), "until": NOON + timedelta(seconds=3)}
    assert [alert.id for alert in ledger.find(Alert, tenant="main", **window)] == ["a002", "a001"]
    assert ledger.count(Alert, tenant="main", **window) == 2


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_together_are_the_whole_list_in_order(ledger: Ledger, newest_first: bool) -> None:  # noqa: FBT001 - a case
    """Also when many records stand at one time."""
    every = [an_alert(number, start=NOON + timedelta(seconds=number // 4)) for number in range(23)]
    ledger.put(*every)
    seen: list[Alert] = []
    while found := ledger.find(
        Alert, tenant="main", limit=5, after=seen[-1].id if seen else "", newest_first=newest_first
    ):
        seen += found
    assert seen == sorted(every, key=lambda alert: (alert.start, alert.id), reverse=newest_first)


def test_an_edge_is_one_record_however_often_it_is_seen(ledger: Ledger) -> None:
    edge = Edge(source="service:cart", target="database:carts", relation=Relation.READS, last_seen=NOON)
    ledger.put(edge)
    ledger.put(replace(edge, calls=7, last_seen=NOON + timedelta(hours=1)))
    assert [found.calls for found in ledger.find(Edge, tenant="main", where={"target": edge.target})] == [7]


def test_an_update_reads_changes_and_writes_in_one(ledger: Ledger) -> None:
    ledger.put(an_alert())
    threads = [
        threading.Thread(
            target=lambda: [
                ledger.update(Alert, "a000", lambda alert: replace(alert, count=alert.count + 1), tenant="main")
                for _ in range(10)
            ]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.get(Alert, "a000", tenant="main").count == 41


def test_an_update_that_raises_changes_nothing(ledger: Ledger) -> None:
    ledger.put(an_alert())
    head = ledger.head()

    def refuse(_alert: Alert) -> Alert:
        raise Conflict("no")

    with pytest.raises(Conflict):
        ledger.update(Alert, "a000", refuse, tenant="main")
    with pytest.raises(Conflict):
        ledger.update(Alert, "a000", lambda alert: replace(alert, id="other"), tenant="main")
    assert ledger.head() == head


def test_append_next_builds_a_chain(ledger: Ledger) -> None:
    for _ in range(12):
        ledger.append_next(Release, a_release, tenant="main", where={"model": "ranker"})
    chain = ledger.find(Release, tenant="main", where={"model": "ranker"})
    assert sorted((release.seq, release.previous) for release in chain) == [
        (number, str(number - 1) if number > 1 else "") for number in range(1, 13)
    ]
    with pytest.raises(Conflict):
        ledger.append_next(Release, lambda _newest: a_release(None), tenant="main", where={"model": "ranker"})


def test_the_audit_chain_breaks_when_an_entry_is_changed_or_missing(ledger: Ledger) -> None:
    for number in range(5):
        append_audit(
            ledger, actor="ann", action="approve", target=f"executions/{number}", tenant="main", detail={"n": "1"}
        )
    chain = list(reversed(ledger.find(Audit, tenant="main")))
    assert chain[0].previous_sha256 == GENESIS
    assert check_chain(chain) == chain[-1].sha256
    assert check_chain(chain[2:], chain[1].sha256) == chain[-1].sha256
    with pytest.raises(Corrupt):
        check_chain([*chain[:2], replace(chain[2], actor="bob"), *chain[3:]])
    with pytest.raises(Corrupt):
        check_chain([*chain[:2], *chain[3:]])


def test_the_feed_tells_every_write_in_order_and_nothing_twice(ledger: Ledger) -> None:
    assert ledger.changes(0) == []
    ledger.put(an_alert(0), a_line())
    first = ledger.changes(0)
    assert {(change.table, change.id) for change in first} == {("alerts", "a000"), ("timeline", "l")}
    assert ledger.head() == first[-1].seq
    assert ledger.changes(ledger.head()) == []
    ledger.put(an_alert(1, tenant="other"))
    (change,) = ledger.changes(first[-1].seq)
    assert (change.table, change.id, change.tenant) == ("alerts", "a001", "other")


def test_an_equal_record_is_no_change(ledger: Ledger) -> None:
    ledger.put(an_alert(), a_line())
    head = ledger.head()
    ledger.put(an_alert(), a_line())
    assert ledger.head() == head


def test_the_feed_keeps_one_line_a_record_and_a_reader_misses_none(ledger: Ledger) -> None:
    for count in range(50):
        ledger.put(an_alert(0, count=count), an_alert(1, title=str(count)))
    assert sorted(change.id for change in ledger.changes(0)) == ["a000", "a001"]
    assert len(ledger.changes(0, limit=1)) == 1


def test_a_large_put_is_taken(ledger: Ledger) -> None:
    many = [Setting(id=str(number), value="v", changed=NOON, author="ann") for number in range(3000)]
    ledger.put(*many)
    ledger.put(*(replace(setting, value="w") for setting in many))
    assert ledger.count(Setting, tenant="main") == 3000
    assert {setting.value for setting in ledger.find(Setting, tenant="main", limit=5000)} == {"w"}


def test_a_write_is_there_after_it_is_opened_again(location: str) -> None:
    first = open_ledger(location)
    first.put(an_alert())
    first.close()
    second = open_ledger(location)
    assert second.get(Alert, "a000", tenant="main") == an_alert()
    second.close()


WRITER = """
import sys
from dataclasses import replace
from datetime import UTC, datetime
from twofold.records.access import Setting
from twofold.store.ledger.audit import append_audit
from twofold.store.ledger.sql import open_ledger

location, name = sys.argv[1:]
ledger = open_ledger(location)
for number in range(40):
    ledger.put(Setting(id=f"{name}-{number}", value="", changed=datetime.now(UTC), author=name))
    append_audit(ledger, actor=name, action="write", target=str(number), tenant="main")
    ledger.update(Setting, "shared", lambda s: replace(s, value=str(int(s.value) + 1)), tenant="main")
"""


def test_two_processes_write_while_a_third_follows(location: str) -> None:
    """No update is lost, both chains are one, and the follower sees every record although it reads all the time."""
    ledger = open_ledger(location)
    ledger.put(Setting(id="shared", value="0", changed=NOON, author="ann"))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, location, name]) for name in ("a", "b")]
    seen: set[str] = set()
    seqs: list[int] = []
    try:
        running = True
        while running:
            running = any(writer.poll() is None for writer in writers)
            while changes := ledger.changes(seqs[-1] if seqs else 0):
                seqs += [change.seq for change in changes]
                seen |= {change.id for change in changes if change.table == "settings"}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seqs == sorted(set(seqs))
    assert seen == {"shared"} | {f"{name}-{number}" for name in "ab" for number in range(40)}
    assert ledger.get(Setting, "shared", tenant="main").value == "80"
    check_chain(ledger.find(Audit, tenant="main", limit=100, newest_first=False))
    ledger.close()


def test_two_processes_may_open_a_new_ledger_at_once(location: str) -> None:
    code = "import sys; from twofold.store.ledger.sql import open_ledger; open_ledger(sys.argv[1])"
    openers = [subprocess.Popen([sys.executable, "-c", code, location]) for _ in range(3)]
    assert [opener.wait() for opener in openers] == [0, 0, 0]


KEYS = st.sampled_from(["service:a", "service:b", "service:c"])
ENTITIES = st.builds(
    Entity,
    id=KEYS,
    kind=st.sampled_from(EntityKind),
    name=st.sampled_from(["x", "y"]),
    tenant=st.sampled_from(["main", "other"]),
    last_seen=st.none() | st.datetimes(NOON.replace(tzinfo=None), timezones=st.just(UTC)),
)


def test_a_ledger_is_a_dictionary_by_tenant_and_id(ledger: Ledger) -> None:
    """After any puts, reads agree with a dictionary, and the feed names exactly what changed."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batches=st.lists(st.lists(ENTITIES, max_size=4), max_size=6))
    def agree(batches: list[list[Entity]]) -> None:
        prefix = uuid.uuid4().hex
        model: dict[tuple[str, str], Entity] = {}
        for batch in batches:
            renamed = [replace(entity, tenant=prefix + entity.tenant) for entity in batch]
            before, head = dict(model), ledger.head()
            ledger.put(*renamed)
            model |= {(entity.tenant, entity.id): entity for entity in renamed}
            changed = {key for key, entity in model.items() if before.get(key) != entity}
            assert {(change.tenant, change.id) for change in ledger.changes(head)} == changed
        for tenant in (f"{prefix}main", f"{prefix}other"):
            mine = [entity for (owner, _), entity in model.items() if owner == tenant]
            assert sorted(ledger.find(Entity, tenant=tenant), key=lambda e: e.id) == sorted(mine, key=lambda e: e.id)
            for kind in EntityKind:
                expected = sum(entity.kind is kind for entity in mine)
                assert ledger.count(Entity, tenant=tenant, where={"kind": kind}) == expected

    agree()


def test_users_of_two_tenants_do_not_meet(ledger: Ledger) -> None:
    user = User(id="ann", name="ann", role=Role.ADMIN, secret_hash="", created=NOON, tenant="one")
    ledger.put(user)
    with pytest.raises(NotFound):
        ledger.get(User, "ann", tenant="two")
    assert ledger.find(User, tenant="two", where={"name": "ann"}) == []
