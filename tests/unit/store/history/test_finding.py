"""A search finds what reading every line finds: in files and in memory, with an index, without, with a damaged one."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bucket import bucket_of
from tests.telemetry import NOON, SECOND, Numbered
from twofold.errors import TooLarge
from twofold.records.columns import LOGS, SPANS
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.backup.checks import check_home
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery, Table, grams, index, layout, lines
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.index import BODY_AT
from twofold.store.history.sql import SqlLimits
from twofold.store.journal.codec import encode_batch

CONFIG: Final = HistoryConfig(compact=CompactConfig(settle_s=0, small_files=2, kept_hours=0, rows=400))
ALL: Final = LineQuery(start_ns=FIRST_NS, end_ns=LAST_NS, most=10**6)
WORDS: Final = ("order", "ORDER", "Straße", "ÄRGER", "ärger", "İstanbul", "K", "κόσμος", "日本", "100%", "a\\b", "é")
LINE: Final = {"severity": 9, "trace_id": "", "span_id": "", "attributes": "{}", "entity": "service:cart"}
Row = dict[str, Any]


def frame_of(rows: list[Row], kind: FrameKind = FrameKind.LOGS) -> Frame:
    batch = pa.RecordBatch.from_pylist(rows, SPANS if kind is FrameKind.SPANS else LOGS)
    return Frame(kind=kind, payload=encode_batch(batch), time_ns=NOON, rows=len(rows))


def some_lines(count: int, seed: int) -> list[Row]:
    """Lines of words, numbers and identifiers, out of order in time; some are empty, some very short."""
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    made = []
    for _ in range(count):
        parts = [draw.choice(WORDS), str(draw.randrange(10**6)), f"{draw.getrandbits(64):016x}", draw.choice(WORDS)]
        body = draw.choice(("", "x", "ab", " ".join(parts), "".join(parts), f"took {draw.randrange(1000)} ms"))
        trace = f"{draw.randrange(40):032x}" if draw.random() < 0.5 else ""
        made.append(
            LINE
            | {
                "time_ns": NOON + draw.randrange(count) * SECOND,
                "body": body,
                "trace_id": trace,
                "severity": draw.choice((0, 9, 17)),
                "entity": f"service:{draw.randrange(4)}",
            }
        )
    return made


def naive(rows: list[Row], asked: LineQuery) -> list[tuple[Any, ...]]:
    """What a search must find, by looking at every line."""
    lower = pc.utf8_lower(pa.array([row["body"] for row in rows], pa.string())).to_pylist()
    needle = pc.utf8_lower(pa.scalar(asked.text)).as_py()
    found = [
        (row["time_ns"], row["entity"], row["severity"], row["body"], row["trace_id"], row["span_id"])
        for row, body in zip(rows, lower, strict=True)
        if needle in body
        and asked.start_ns <= row["time_ns"] < asked.end_ns
        and row["severity"] >= asked.severity
        and asked.entity in ("", row["entity"])
        and asked.trace_id in ("", row["trace_id"])
    ]
    return sorted(found, reverse=True)


def found_by(history: DeltaHistory, asked: LineQuery) -> list[tuple[Any, ...]]:
    table = history.lines(asked, tenant="main")
    times = table["time_ns"].to_pylist()
    assert times == sorted(times, reverse=True)
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), reverse=True)


@contextmanager
def small_groups(rows: int) -> Iterator[None]:
    """Row groups of few rows, so that few lines make many."""
    real = dict(layout.LAYOUTS)
    try:
        for table in (Table.LOGS, Table.SPANS):
            layout.LAYOUTS[table] = replace(real[table], group=rows)  # type: ignore[index]  # a dict behind its type
        yield
    finally:
        layout.LAYOUTS.update(real)  # type: ignore[attr-defined]  # likewise


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DeltaHistory, list[Row]]]:
    """Lines in compacted files, in a file of one flush, and in memory; row groups of 16."""
    rows, number = some_lines(1500, 1), Numbered()
    with small_groups(16):
        history = DeltaHistory(tmp_path_factory.mktemp("finding"), config=CONFIG)
        for at in range(0, 1500, 100):
            history.append(0, number(frame_of(rows[at : at + 100])))
            if at in (300, 600, 900, 1200):
                history.flush()
            if at == 900:
                assert history.compact() > 0
        yield history, rows
        history.close()


def needles() -> st.SearchStrategy[tuple[int, int, int, str]]:
    return st.tuples(
        st.integers(0, 1499), st.integers(0, 30), st.integers(1, 12), st.sampled_from(("", "Z", "é", "q0"))
    )


@settings(max_examples=60, deadline=None)
@given(
    needle=needles(),
    start=st.integers(0, 1500),
    length=st.sampled_from((1500, 300, 40)),
    severity=st.sampled_from((0, 0, 17)),
    entity=st.sampled_from(("", "", "service:1", "service:none")),
    trace=st.sampled_from(("", "", f"{7:032x}", f"{99:032x}")),
    upper=st.booleans(),
)
def test_a_search_finds_exactly_the_lines_that_hold_the_text(
    stored: tuple[DeltaHistory, list[Row]],
    needle: tuple[int, int, int, str],
    start: int,
    length: int,
    severity: int,
    entity: str,
    trace: str,
    upper: bool,  # noqa: FBT001 - drawn
) -> None:
    history, rows = stored
    row, at, size, more = needle
    text = rows[row]["body"][at : at + size] + more
    asked = LineQuery(
        text=text.upper() if upper else text,
        start_ns=NOON + start * SECOND,
        end_ns=NOON + (start + length) * SECOND,
        severity=severity,
        entity=entity,
        trace_id=trace,
        most=10**6,
    )
    assert found_by(history, asked) == naive(rows, asked)


@pytest.mark.parametrize("text", ["", "order", "1", "took 7", "ß", "ärger"])
@pytest.mark.parametrize("most", [1, 7, 100])
def test_of_many_lines_the_newest_are_given(stored: tuple[DeltaHistory, list[Row]], text: str, most: int) -> None:
    history, rows = stored
    asked = replace(ALL, text=text, most=most)
    expected = [row[0] for row in naive(rows, replace(ALL, text=text))][:most]
    assert [row[0] for row in found_by(history, asked)] == expected


def test_what_no_line_holds_is_answered_almost_without_reading(
    stored: tuple[DeltaHistory, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    history, _ = stored
    history.flush()
    real, read = history._opened.reading, itertools.count()
    monkeypatch.setattr(history._opened, "reading", lambda path: next(read) >= 0 and real(path))
    for asked in (
        *(replace(ALL, text=text) for text in ("segmentation fault", "order 12345678901", "{}", "<")),
        replace(ALL, entity="service:none"),
        replace(ALL, trace_id=trace(3)),
        replace(ALL, severity=18),
    ):
        assert history.lines(asked, tenant="main").num_rows == 0
    assert next(read) < 40, "row groups of a hundred, for seven questions"


texts = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.text("0123456789x", min_size=4, max_size=20)
    | st.sampled_from((*WORDS, "\0" * 7)),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(
    texts=texts,
    text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=7),
    pick=st.integers(0, 29),
    size=st.integers(1, 9),
)
def test_both_ways_to_mark_and_to_compare_say_the_same(texts: list[str], text: str, pick: int, size: int) -> None:
    array = pa.array(texts, pa.string())
    others = np.array([5, 7], np.uint64)
    made = []
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grams, "has_compiler", lambda: compiled)  # noqa: B023 - within the turn
            made.append(grams.filter_of(array, others))
    slow, quick = made
    assert np.array_equal(slow, quick)
    needle = grams.needle_of((texts[pick % len(texts)][:size] if texts else "") or text)
    lower = pc.utf8_lower(array)
    expected = pc.match_substring(lower, needle.decode()).to_pylist()
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "has_compiler", lambda: compiled)  # noqa: B023 - likewise
            assert lines.holding(array, needle).tolist() == expected
    begin = np.array([0, len(slow)])
    passed = grams.Probe(needle, [5]).passes(slow, begin, np.array([0]))
    assert len(passed) or not any(expected), "a block that holds the text must pass"


def test_text_that_is_no_unicode_is_searched_as_bytes() -> None:
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 6, 9], np.int32)), pa.py_buffer(b"\xff Out!abc"))
    assert lines.holding(broken, b"out").tolist() == [True, False]
    words = grams.filter_of(broken, np.empty(0, np.uint64))
    assert len(grams.Probe(b"out!").passes(words, np.array([0, len(words)]), np.array([0])))


def test_lower_case_of_letters_beyond_ascii_that_become_ascii_is_known(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path, config=CONFIG)
    rows = [LINE | {"time_ns": NOON, "body": body} for body in ("300 \u212a", "\u0130zmir", "plain")]
    history.append(0, Numbered()(frame_of(rows)))
    for _ in range(2):
        assert history.lines(replace(ALL, text="300 k"), tenant="main")["body"].to_pylist() == ["300 \u212a"]
        assert history.lines(replace(ALL, text="IZM"), tenant="main")["body"].to_pylist() == ["\u0130zmir"]
        history.flush()


def test_a_search_that_takes_too_long_says_so(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path, config=replace(CONFIG, sql=SqlLimits(seconds=0.0)))
    history.append(0, Numbered()(frame_of(some_lines(3, 1))))
    with pytest.raises(TooLarge, match="longer than 0 s"):
        history.lines(ALL, tenant="main")


def test_tenants_see_their_own_lines_and_traces(tmp_path: Path) -> None:
    history, number = DeltaHistory(tmp_path, config=CONFIG), Numbered()
    for tenant in ("main", "other"):
        rows = [LINE | {"time_ns": NOON, "body": f"of {tenant}"}]
        history.append(0, number(replace(frame_of(rows), tenant=tenant)))
        history.append(0, number(replace(frame_of([span(1)], FrameKind.SPANS), tenant=tenant)))
    for _ in range(2):
        assert history.lines(replace(ALL, text="of"), tenant="other")["body"].to_pylist() == ["of other"]
        assert history.trace(trace(1), tenant="other").num_rows == 1
        assert history.trace(trace(1), tenant="nobody").num_rows == 0
        history.flush()


# Traces


def trace(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"


def span(number: int, hop: int = 0, at: int = 0) -> Row:
    return {
        "trace_id": trace(number),
        "span_id": f"{number * 10 + hop:016x}",
        "parent_id": "",
        "entity": "service:cart",
        "name": "GET /",
        "kind": 2,
        "start_ns": NOON + at * SECOND + hop,
        "duration_ns": 5,
        "error": False,
        "peer": "",
        "attributes": "{}",
    }


def test_a_trace_is_found_wherever_its_spans_stand(tmp_path: Path) -> None:
    number = Numbered()
    with small_groups(8):
        history = DeltaHistory(tmp_path, config=CONFIG)
        for part in range(5):
            rows = [span(each, part, at=each + 40 * part) for each in range(40)]
            history.append(0, number(frame_of(rows, FrameKind.SPANS)))
            if part < 4:
                history.flush()
            if part == 2:
                assert history.compact() > 0
        for each in (0, 7, 39):
            found = history.trace(trace(each), tenant="main")
            assert found.to_pylist() == [span(each, part, at=each + 40 * part) for part in range(5)]
            some = history.trace(trace(each), tenant="main", start_ns=NOON + 40 * SECOND, end_ns=NOON + 120 * SECOND)
            assert some.num_rows == 2
        assert history.trace(trace(99), tenant="main").num_rows == 0
        assert history.trace("", tenant="main").num_rows == 0
        assert history.trace("short", tenant="main").num_rows == 0


# Files without a sound index


def a_home(root: Path, monkeypatch: pytest.MonkeyPatch, *, indexed: bool) -> tuple[list[Row], Path]:
    """A data folder with one file of lines and one of spans."""
    rows = some_lines(300, 2)
    with small_groups(32), monkeypatch.context() as patch:
        if not indexed:
            patch.setattr("twofold.store.history.delta_table.index_of", lambda *_, **__: b"")
        history = DeltaHistory(root / "history", config=CONFIG)
        number = Numbered()
        history.append(0, number(frame_of(rows), frame_of([span(each) for each in range(100)], FrameKind.SPANS)))
        history.close()
    return rows, next((root / "history" / "logs").glob("*/*.parquet"))


def test_files_of_before_there_were_indexes_are_searched_whole_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, file = a_home(tmp_path, monkeypatch, indexed=False)
    assert file.read_bytes()[4:12] != b"TwofoldI"
    history = DeltaHistory(tmp_path / "history", config=CONFIG)
    for text in ("order", "zzz", "took"):
        assert found_by(history, replace(ALL, text=text)) == naive(rows, replace(ALL, text=text))
    assert history.trace(trace(7), tenant="main").num_rows == 1
    assert history.unindexed_files() == 2
    assert history.damaged_files() == 0


@pytest.mark.parametrize("at", [0, 40, 500])
def test_a_damaged_index_costs_time_and_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    rows, _ = a_home(tmp_path, monkeypatch, indexed=True)
    for file in tmp_path.glob("history/*/*/*.parquet"):
        data = bytearray(file.read_bytes())
        data[BODY_AT + at] ^= 4
        file.write_bytes(data)
    history = DeltaHistory(tmp_path / "history", config=CONFIG)
    for text in ("order", "zzz", "took"):
        assert found_by(history, replace(ALL, text=text)) == naive(rows, replace(ALL, text=text))
    assert history.trace(trace(7), tenant="main").num_rows == 1
    assert history.unindexed_files() == 2
    assert history.damaged_files() == 0
    problems = [problem.what for problem in check_home(tmp_path)]
    assert problems == ["its index fails its check: searches read the whole file"] * 2


def test_a_flipped_bit_in_the_head_of_an_index_is_damage_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file = a_home(tmp_path, monkeypatch, indexed=True)
    data = bytearray(file.read_bytes())
    data[BODY_AT - 8] ^= 1
    file.write_bytes(data)
    history = DeltaHistory(tmp_path / "history", config=CONFIG)
    assert history.lines(ALL, tenant="main").num_rows == 0
    assert history.damaged_files() == 1


def test_a_rewrite_gives_files_their_index_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = a_home(tmp_path, monkeypatch, indexed=False)
    history = DeltaHistory(tmp_path / "history", config=CONFIG)
    more = some_lines(50, 3)
    history.append(0, [(Position(0, 10_000), frame_of(more))])
    history.flush()
    assert history.compact() == 2
    assert found_by(history, replace(ALL, text="order")) == naive(rows + more, replace(ALL, text="order"))
    assert history.unindexed_files() == 0


def test_an_index_comes_with_its_file_from_a_bucket(tmp_path: Path) -> None:
    rows = some_lines(200, 4)
    config = replace(CONFIG, s3=bucket_of(str(tmp_path)))
    with small_groups(16):
        history = DeltaHistory(tmp_path / "one", config=config)
        history.append(0, Numbered()(frame_of(rows), frame_of([span(each) for each in range(30)], FrameKind.SPANS)))
        history.flush()
    shutil.rmtree(tmp_path / "one")
    other = DeltaHistory(tmp_path / "two", config=config)
    assert found_by(other, replace(ALL, text="straße")) == naive(rows, replace(ALL, text="straße"))
    assert other.trace(trace(7), tenant="main").num_rows == 1
    assert other.unindexed_files() == 0


def test_other_readers_of_parquet_do_not_see_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows, file = a_home(tmp_path, monkeypatch, indexed=True)
    assert file.read_bytes()[4:12] == b"TwofoldI"
    assert index.is_whole(file)
    assert pq.ParquetFile(file, page_checksum_verification=True).read().num_rows == len(rows)
    (bodies,) = duckdb.sql(f"SELECT list(body) FROM read_parquet('{file}')").fetchall()[0]  # noqa: S608 - our own path
    assert sorted(bodies) == sorted(row["body"] for row in rows)


def test_indexes_and_footers_past_their_bounds_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.store.history.opened._KEPT", 1)
    monkeypatch.setattr("twofold.store.history.opened._FOOTERS", 1)
    rows, number = some_lines(60, 5), Numbered()
    history = DeltaHistory(tmp_path, config=CONFIG)
    for at in range(0, 60, 20):
        history.append(0, number(frame_of(rows[at : at + 20])))
        history.flush()
    for _ in range(2):
        assert found_by(history, replace(ALL, text="order")) == naive(rows, replace(ALL, text="order"))
    assert len(history._opened._known) == len(history._opened._footers) == 1


def test_an_index_that_is_damaged_while_in_use_is_noticed_when_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, file = a_home(tmp_path, monkeypatch, indexed=True)
    history = DeltaHistory(tmp_path / "history", config=CONFIG)
    asked = replace(ALL, text="order")
    assert found_by(history, asked) == naive(rows, asked)
    data = bytearray(file.read_bytes())
    data[BODY_AT + 8 : BODY_AT + 800] = bytes(792)
    file.write_bytes(data)
    assert found_by(history, asked) == naive(rows, asked)
    history._opened._known.clear()
    assert found_by(history, asked) == naive(rows, asked)
    assert history.unindexed_files() == 1
