"""Every history engine keeps the same promises."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.bucket import bucket_of
from tests.conservation import Account, stored_rows
from tests.contract.engines import engines_of
from tests.telemetry import NOON, SECOND, Numbered, Row, logs_frame, samples_frame
from twofold.errors import InputError, NotFound, TooLarge
from twofold.records.columns import PREDICTIONS, SPANS
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.store import history as port
from twofold.store.history import History, LineQuery, Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.sql import SqlLimits
from twofold.store.journal.codec import encode_batch

Open = Callable[[], History]
CONFIG = HistoryConfig(
    windows_per_flush=4,
    sql=SqlLimits(seconds=5, rows=1000, memory_mb=64),
    compact=CompactConfig(rows=40, settle_s=0, small_rows=20, small_files=3),
)
OPENERS: dict[str, Callable[[Path], History]] = {
    "delta.DeltaHistory": lambda root: DeltaHistory(root, config=CONFIG),
    "delta.DeltaHistory on S3": lambda root: DeltaHistory(root, config=replace(CONFIG, s3=bucket_of(str(root)))),
}
DAY = 86_400 * SECOND


def test_every_engine_is_found_and_has_an_opener_here() -> None:
    found = engines_of(port, History)
    assert found, "no history engine found: the contract covers nothing"
    assert set(found) == {name.partition(" ")[0] for name in OPENERS}


FOUND_OUT_S = 10.0  # another process on a bucket finds a new version out within some seconds
SUITES = [pytest.param(name, marks=[pytest.mark.long] if "S3" in name else []) for name in OPENERS]
"""The service on this machine answers in some ten milliseconds a request: its suite runs with the long ones."""


@pytest.fixture(params=SUITES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same history again and again; the one before is left as a crash would leave it."""
    opened: list[History] = []

    def open_it() -> History:
        opened.append(OPENERS[request.param](tmp_path / "history"))
        return opened[-1]

    yield open_it
    for each in opened[-1:]:
        each.close()


@pytest.fixture
def history(reopen: Open) -> History:
    return reopen()


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def read(history: History, *sids: int, start: int = 0, end: int = 2 * NOON, tenant: str = "main") -> list[Row]:
    return rows_of(history.samples(sids, start, end, tenant=tenant))


def test_samples_are_seen_at_once_and_after_a_flush_the_same(history: History) -> None:
    history.append(0, Numbered()(samples_frame([(2, NOON, 1.0), (1, NOON + 1, 2.0), (1, NOON, 3.0), (9, NOON, 4.0)])))
    for _ in range(2):
        assert read(history, 2, 1) == [(1, NOON, 3.0), (1, NOON + 1, 2.0), (2, NOON, 1.0)]
        assert read(history, 1, start=NOON + 1) == [(1, NOON + 1, 2.0)]
        assert read(history, 1, end=NOON + 1) == [(1, NOON, 3.0)]
        assert read(history, 3) == []
        assert read(history) == []
        history.flush()


def test_of_one_sid_and_time_the_last_value_stays_wherever_the_rows_stand(history: History) -> None:
    number = Numbered()
    for value in range(6):
        history.append(0, number(samples_frame([(1, NOON, float(value)), (2, NOON + value, 0.0)])))
        if value % 2:
            history.flush()
        assert read(history, 1) == [(1, NOON, float(value))]
        assert rows_of(history.query("SELECT sid, time_ns, value FROM samples WHERE sid = 1", tenant="main")) == [
            (1, NOON, float(value))
        ]
    history.append(0, number(samples_frame([(1, NOON, 7.0), (1, NOON, 8.0)])))
    assert read(history, 1) == [(1, NOON, 8.0)]
    history.flush()
    assert read(history, 1) == [(1, NOON, 8.0)]
    assert len(read(history, 2)) == 6


def test_steps_hold_least_mean_most_and_count(history: History) -> None:
    rows = [(sid, NOON + second * SECOND, float(second * sid)) for sid in (1, 2) for second in range(20)]
    history.append(0, Numbered()(samples_frame([*rows, (1, NOON, float("nan"))])))
    found = history.samples([1, 2, 3], NOON, NOON + DAY, tenant="main", step_ns=10 * SECOND)
    assert found.column_names == ["sid", "time_ns", "min", "mean", "max", "count"]
    assert rows_of(found) == [
        (1, NOON, 1.0, 5.0, 9.0, 9),  # the value that is no number counts in no step
        (1, NOON + 10 * SECOND, 10.0, 14.5, 19.0, 10),
        (2, NOON, 0.0, 9.0, 18.0, 10),
        (2, NOON + 10 * SECOND, 20.0, 29.0, 38.0, 10),
    ]
    assert history.samples([3], NOON, NOON + DAY, tenant="main", step_ns=SECOND).num_rows == 0


def test_a_replay_after_a_crash_is_left_out(reopen: Open) -> None:
    number = Numbered()
    first, second = number(logs_frame(["a", "b"])), number(logs_frame(["c"]))
    history = reopen()
    history.append(0, first)
    assert history.flush() == {0: first[-1][0]}
    history.append(0, second)  # in memory only when the process dies
    again = reopen()
    again.append(0, [*first, *second])
    again.append(0, [*first, *second])
    assert sorted(body for (body,) in rows_of(again.query("SELECT body FROM logs", tenant="main"))) == ["a", "b", "c"]
    assert again.flush() == {0: second[-1][0]}
    assert stored_rows(again, Table.LOGS) == 3
    assert isinstance(again, DeltaHistory)
    Account(received=6, stored=1, duplicate=again.counts["replayed"]).check()


def test_partitions_are_told_apart(reopen: Open) -> None:
    history, at = reopen(), Position(0, 100)
    history.append(0, [(at, logs_frame(["zero"]))])
    history.flush()
    again = reopen()
    again.append(0, [(at, logs_frame(["zero"]))])
    again.append(1, [(at, logs_frame(["one"]))])
    assert again.flush() == {0: at, 1: at}
    assert stored_rows(again, Table.LOGS) == 2


def test_derived_samples_are_kept_once_a_window(reopen: Open) -> None:
    number = Numbered()

    def derived(window: int, value: float, **other: Any) -> Frame:
        return samples_frame([(1, window, value)], source=Source.DERIVED, time_ns=window, **other)

    history = reopen()
    history.append(0, number(derived(NOON, 1.0), derived(NOON + 1, 2.0)))
    history.append(
        0, number(derived(NOON, 3.0), derived(NOON, 4.0, tenant="other"), derived(NOON, 5.0, lane=Lane.BACKFILL))
    )
    history.flush()
    again = reopen()
    again.append(0, number(derived(NOON + 1, 6.0), derived(NOON + 2, 7.0)))
    assert read(again, 1) == [(1, NOON, 5.0), (1, NOON + 1, 2.0), (1, NOON + 2, 7.0)]
    assert read(again, 1, tenant="other") == [(1, NOON, 4.0)]


def test_a_flush_with_nothing_to_write_still_says_what_may_be_committed(history: History) -> None:
    assert history.flush() == {}
    tick = Frame(kind=FrameKind.TICK, payload=b"", time_ns=NOON, rows=0)
    frames = Numbered()(tick)
    history.append(0, frames)
    assert history.flush() == {0: frames[0][0]}


def test_a_frame_that_cannot_be_decoded_costs_nothing_but_itself(history: History) -> None:
    good = samples_frame([(1, NOON, 1.0)])
    history.append(0, Numbered()(replace(good, payload=b"no arrow"), good, replace(good, kind=FrameKind.LOGS)))
    history.flush()
    assert read(history, 1) == [(1, NOON, 1.0)]
    assert isinstance(history, DeltaHistory)
    assert history.counts["unreadable"] == 2


SPAN = {
    "trace_id": "a" * 32,
    "span_id": "b" * 16,
    "parent_id": "",
    "entity": "service:cart",
    "name": "GET /cart",
    "kind": 2,
    "start_ns": NOON,
    "duration_ns": 5,
    "error": True,
    "peer": "",
    "attributes": "{}",
}
PREDICTION = {
    "time_ns": NOON,
    "model": "fraud",
    "version": "3",
    "stage": "live",
    "request_id": "r1",
    "latency_ns": 7,
    "numbers": [1.5, 2.5],
    "texts": ["de"],
    "outputs": [0.25],
}


@pytest.mark.parametrize(
    ("kind", "schema", "row"), [(FrameKind.SPANS, SPANS, SPAN), (FrameKind.PREDICTIONS, PREDICTIONS, PREDICTION)]
)
def test_spans_and_predictions_come_back_as_they_were(
    history: History, kind: FrameKind, schema: pa.Schema, row: dict[str, Any]
) -> None:
    other = row | {schema.names[0]: row[schema.names[0]]}
    frame = Frame(
        kind=kind,
        payload=encode_batch(pa.RecordBatch.from_pylist([row, other], schema)),
        time_ns=NOON,
        rows=2,
        lane=Lane.BACKFILL,
    )
    history.append(0, Numbered()(frame))
    table = Table(kind.name.lower())
    for _ in range(2):
        found = history.query(f"SELECT * FROM {table.value}", tenant="main").to_pylist()  # noqa: S608  # a fixed name
        assert found == [row | {"lane": 1, "tenant": "main"}] * 2
        history.flush()


def test_a_trace_is_found_by_its_id(history: History) -> None:
    rows = [SPAN | {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"} for number in range(500)]
    frame = Frame(
        kind=FrameKind.SPANS, payload=encode_batch(pa.RecordBatch.from_pylist(rows, SPANS)), time_ns=NOON, rows=500
    )
    history.append(0, Numbered()(frame))
    history.flush()
    found = history.query(
        "SELECT span_id FROM spans WHERE trace_id = $id", tenant="main", parameters={"id": f"{321:032x}"}
    )
    assert rows_of(found) == [(f"{321:016x}",)]


def test_sql_sees_only_the_tenant_and_the_time_asked_for(history: History) -> None:
    number = Numbered()
    history.append(0, number(samples_frame([(1, NOON, 1.0)]), samples_frame([(1, NOON, 2.0)], tenant="it's other")))
    for _ in range(2):
        assert rows_of(history.query("SELECT value, tenant FROM samples", tenant="main")) == [(1.0, "main")]
        assert rows_of(history.query("SELECT value, tenant FROM samples", tenant="it's other")) == [(2.0, "it's other")]
        assert history.query("SELECT * FROM samples", tenant="nobody").num_rows == 0
        assert history.query("SELECT * FROM samples", tenant="main", start_ns=NOON + 1).num_rows == 0
        assert history.query("SELECT * FROM samples", tenant="main", end_ns=NOON).num_rows == 0
        assert history.query("SELECT * FROM samples", tenant="main", start_ns=NOON, end_ns=NOON + 1).num_rows == 1
        history.flush()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine AS SELECT 1",
        "INSERT INTO samples VALUES (1)",
        "DROP VIEW samples",
        "SET threads = 1",
        "PRAGMA database_list",
        "ATTACH '/tmp/twofold-test.db'",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
        "SELEC 1",
        "SELECT * FROM nothing",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '/tmp/twofold-test.csv'",
        "SELECT * FROM samples WHERE value = $missing",
    ],
)
def test_sql_can_do_nothing_but_read_the_views(history: History, sql: str) -> None:
    history.append(0, Numbered()(samples_frame([(1, NOON, 1.0)])))
    history.flush()
    with pytest.raises(InputError):
        history.query(sql, tenant="main")
    assert not Path("/tmp/twofold-test.csv").exists()  # noqa: S108  # what must not be there
    assert len(read(history, 1)) == 1


def test_sql_cannot_open_the_files_of_another_tenant(history: History, tmp_path: Path) -> None:
    number = Numbered()
    history.append(0, number(samples_frame([(1, NOON, 1.0)])))
    history.flush()
    history.append(0, number(samples_frame([(1, NOON, 2.0)], tenant="other")))
    history.flush()
    files = sorted((tmp_path / "history").rglob("*.parquet"))
    assert len(files) == 2
    own = {row["file"] for row in _files_of(history, "main")}
    for file in files:
        attack = f"SELECT * FROM samples, read_parquet('{file}')"  # noqa: S608  # that is the attack
        if str(file) in own:
            assert history.query(attack, tenant="main").num_rows == 1
        else:
            with pytest.raises(InputError, match="Permission"):
                history.query(attack, tenant="main")
    assert len(own) == 1


def _files_of(history: History, tenant: str) -> list[dict[str, Any]]:
    sql = "SELECT unnest(value::VARCHAR[]) AS file FROM duckdb_settings() WHERE name = 'allowed_paths' -- samples"
    found: list[dict[str, Any]] = history.query(sql, tenant=tenant).to_pylist()
    return found


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT count(*) FROM range(100000000000) a, range(1000) b", "query_time"),
        ("SELECT * FROM range(1001)", "query_rows"),
        ("SELECT * FROM range(100000000) ORDER BY hash(range)", "query_memory"),
    ],
)
def test_sql_ends_at_its_bounds(history: History, sql: str, reason: str) -> None:
    with pytest.raises(TooLarge) as caught:
        history.query(sql, tenant="main")
    assert caught.value.reason == reason


def test_a_pinned_version_stays_as_it_was_until_it_is_released(history: History) -> None:
    number = Numbered()
    for second in range(8):
        history.append(0, number(samples_frame([(1, NOON + second, 1.0), (2, NOON, float(second))])))
        history.flush()
    history.append(0, number(samples_frame([(3, NOON, 1.0)])))
    reference = history.pin(Table.SAMPLES)
    assert reference.startswith("delta:samples@")
    everything = "SELECT sid, time_ns, value FROM samples ORDER BY ALL"
    before = rows_of(history.pinned(reference, everything, tenant="main"))
    assert len(before) == 8 + 1 + 1, "the hot window is part of it"
    history.append(0, number(samples_frame([(1, NOON, 9.0), (1, NOON + DAY, 9.0)])))
    history.flush()
    assert history.compact() > 0
    assert history.pin(Table.SAMPLES) != reference
    assert rows_of(history.pinned(reference, everything, tenant="main")) == before
    assert history.pinned(reference, everything, tenant="other").num_rows == 0
    history.release(reference)
    with pytest.raises(NotFound):
        history.pinned(reference, everything, tenant="main")


@pytest.mark.parametrize("reference", ["", "samples@1", "delta:nothing@1", "delta:samples@-1", "delta:samples@1;"])
def test_what_is_no_reference_is_refused(history: History, reference: str) -> None:
    with pytest.raises(InputError):
        history.pinned(reference, "SELECT 1", tenant="main")


def test_compaction_changes_files_and_no_row(history: History) -> None:
    number = Numbered()
    for second in range(30):
        rows = [(sid, NOON + second, float(second)) for sid in range(5)]
        history.append(0, number(samples_frame(rows), logs_frame([f"{second}"])))
        history.flush()
    history.append(0, number(samples_frame([(1, NOON + DAY, 0.0)]), logs_frame(["late"], time_ns=NOON + DAY)))
    history.flush()
    before = history.status()
    rows = read(history, *range(5))
    assert history.compact() == 60
    after = history.status()
    for table in (Table.SAMPLES, Table.LOGS):
        assert after[table].rows == before[table].rows
        assert after[table].files < before[table].files / 4
    assert read(history, *range(5)) == rows
    assert history.query("SELECT DISTINCT body FROM logs", tenant="main").num_rows == 31
    assert history.compact() == 0, "what is compact stays"


def test_another_process_may_compact_while_rows_are_written_and_read(reopen: Open) -> None:
    history, worker = reopen(), reopen()
    number, stop = Numbered(), threading.Event()
    failures: list[BaseException] = []

    def compact() -> None:
        try:
            while not stop.is_set():
                worker.compact()
        except BaseException as error:  # noqa: BLE001  # reported by the test below
            failures.append(error)

    thread = threading.Thread(target=compact)
    thread.start()
    try:
        for second in range(25):
            history.append(0, number(logs_frame([f"{second}"]), samples_frame([(1, NOON + second, float(second))])))
            history.flush()
            assert history.query("SELECT count(*) n FROM logs", tenant="main")["n"].to_pylist() == [second + 1]
            assert len(read(history, 1)) == second + 1
    finally:
        stop.set()
        thread.join()
    assert not failures
    deadline = time.monotonic() + FOUND_OUT_S
    while worker.status()[Table.LOGS].rows < 25 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker.status()[Table.LOGS].rows == 25
    assert worker.status()[Table.LOGS].files < 25
    history.close()


def test_rows_of_any_time_are_kept_and_one_flush_makes_few_files(history: History) -> None:
    rows = [(1, NOON + day * DAY, float(day)) for day in range(-40, 40)]
    history.append(0, Numbered()(samples_frame([*rows, (1, -5, 5.0), (1, 2**62, 6.0)])))
    history.flush()
    assert history.status()[Table.SAMPLES].files <= 5
    assert read(history, 1, start=-10, end=2**63 - 1) == [(1, -5, 5.0), *rows, (1, 2**62, 6.0)]


def test_marks_of_a_series_end_keep_their_bits_through_files_and_compaction_and_sql_leaves_them_out(
    history: History,
) -> None:
    mark = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    number = Numbered()
    for second in range(3):
        history.append(0, number(samples_frame([(1, NOON + second, float(second)), (1, NOON + 10 + second, mark)])))
        if second:
            history.flush()
    for _ in range(2):
        values = history.samples([1], NOON, NOON + 20, tenant="main")["value"].to_pylist()
        assert [struct.pack("<d", value) for value in values] == [
            struct.pack("<d", value) for value in (0.0, 1.0, 2.0, mark, mark, mark)
        ]
        assert history.query("SELECT max(value) m FROM samples", tenant="main")["m"].to_pylist() == [2.0]
        steps = history.samples([1], NOON, NOON + 20, tenant="main", step_ns=20)
        assert steps["count"].to_pylist() == [3]
        history.compact()


def test_close_writes_what_is_hot(reopen: Open) -> None:
    history = reopen()
    history.append(0, Numbered()(samples_frame([(1, NOON, 1.0)])))
    history.close()
    assert read(reopen(), 1) == [(1, NOON, 1.0)]


class HistoryLikeDict(RuleBasedStateMachine):
    """Any order of arrivals, flushes, compactions, crashes and replays gives what a dict would."""

    opener: Callable[[Path], History]
    folder: Callable[[], Path]

    @initialize()
    def start(self) -> None:
        self.root = self.folder()
        self.history = self.opener(self.root)
        self.number = Numbered()
        self.journal: list[tuple[Position, Frame]] = []
        self.committed = Position(0, 0)
        self.model: dict[tuple[int, int], float] = {}

    @rule(
        rows=st.lists(
            st.tuples(
                st.integers(1, 4), st.integers(0, 12).map(lambda hours: NOON + hours * DAY // 8), st.floats(-9, 9)
            ),
            min_size=1,
            max_size=30,
        )
    )
    def arrive(self, rows: list[Row]) -> None:
        frames = self.number(samples_frame(rows))
        self.journal += frames
        self.history.append(0, frames)
        self.model |= {(sid, time_ns): value for sid, time_ns, value in rows}

    @rule(commit=st.booleans())
    def flush(self, commit: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
        until = self.history.flush()
        if commit:
            self.committed = until.get(0, self.committed)

    @rule()
    def compact(self) -> None:
        self.history.compact()

    @rule()
    def crash(self) -> None:
        self.history = self.opener(self.root)
        self.history.append(0, [entry for entry in self.journal if entry[0] > self.committed])

    @invariant()
    def same(self) -> None:
        expected = [(sid, at, value) for (sid, at), value in sorted(self.model.items())]
        assert read(self.history, 1, 2, 3, 4) == expected

    @rule()
    def same_by_sql(self) -> None:
        expected = [(sid, at, value) for (sid, at), value in sorted(self.model.items())]
        found = self.history.query("SELECT sid, time_ns, value FROM samples ORDER BY ALL", tenant="main")
        assert rows_of(found) == expected


@pytest.mark.parametrize(
    "examples", [15, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1800)])], ids=["few", "many"]
)
@pytest.mark.parametrize("opener", [OPENERS["delta.DeltaHistory"]], ids=["delta.DeltaHistory"])
def test_any_order_of_events_does_what_a_dict_would(
    opener: Callable[[Path], History], examples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def machine() -> HistoryLikeDict:
        one = HistoryLikeDict()
        one.opener = opener
        one.folder = lambda: tmp_path_factory.mktemp("history")
        return one

    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # its hint asks for a class, it takes any factory
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )


def test_lines_and_traces_are_found_while_rows_are_written_and_compacted(history: History) -> None:
    number, most = Numbered(), LineQuery(start_ns=0, end_ns=2 * NOON, text="LINE", most=3)
    for part in range(6):
        spans = [SPAN | {"trace_id": f"{7:032x}", "span_id": f"{part:016x}", "start_ns": NOON + part}]
        batch = pa.RecordBatch.from_pylist(spans, SPANS)
        frame = Frame(kind=FrameKind.SPANS, payload=encode_batch(batch), time_ns=NOON, rows=1)
        history.append(0, number(logs_frame([f"a line of {part}"], time_ns=NOON + part * SECOND), frame))
        if part % 2:
            history.flush()
        if part % 3:
            history.compact()
        newest = [f"a line of {each}" for each in range(part, max(-1, part - 3), -1)]
        assert history.lines(most, tenant="main")["body"].to_pylist() == newest
        found = history.trace(f"{7:032x}", tenant="main")
        assert found["span_id"].to_pylist() == [f"{each:016x}" for each in range(part + 1)]
    assert history.lines(replace(most, text="nobody"), tenant="main").num_rows == 0
    assert history.trace(f"{8:032x}", tenant="main").num_rows == 0
