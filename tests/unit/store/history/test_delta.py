"""Delta's own facts: torn logs, disks that fail, two writers, files that other engines read."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.telemetry import NOON, SECOND, Numbered, logs_frame, samples_frame
from twofold.errors import Conflict, Corrupt, StorageFull, Unavailable
from twofold.store import disk
from twofold.store.history import Table, delta_table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig

LOG = "logs/_delta_log"
COPIES = "mirror/logs"
DAY = 86_400 * SECOND


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    return DeltaHistory(tmp_path, config=HistoryConfig(compact=CompactConfig(settle_s=0, small_files=3, kept_hours=0)))


def bodies(history: DeltaHistory) -> list[str]:
    found: list[str] = history.query("SELECT body FROM logs ORDER BY body", tenant="main")["body"].to_pylist()
    return found


@pytest.mark.parametrize("torn", [b"", b'{"commitInfo":{"timesta', bytes(300)])
def test_a_log_entry_torn_by_a_power_cut_is_set_aside_and_the_replay_brings_its_rows(
    history: DeltaHistory, tmp_path: Path, torn: bytes
) -> None:
    number = Numbered()
    first, second = number(logs_frame(["a"])), number(logs_frame(["b"]))
    for frames in (first, second):
        history.append(0, frames)
        history.flush()
    newest = max((tmp_path / LOG).glob("*.json"))
    newest.write_bytes(torn)
    (tmp_path / COPIES / newest.name).unlink()  # the copy is made after the entry is durable
    again = DeltaHistory(tmp_path)
    assert bodies(again) == ["a"]
    again.append(0, [*first, *second])
    again.flush()
    assert bodies(again) == ["a", "b"]
    assert again.counts["replayed"] == 1


def test_a_torn_checkpoint_is_set_aside(history: DeltaHistory, tmp_path: Path) -> None:
    number = Numbered()
    for body in "abc":
        history.append(0, number(logs_frame([body])))
        history.flush()
    history._tables[Table.LOGS].tidy()
    (checkpoint,) = (tmp_path / LOG).glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert bodies(DeltaHistory(tmp_path)) == ["a", "b", "c"]


def test_a_log_that_is_damaged_in_its_middle_is_named(history: DeltaHistory, tmp_path: Path) -> None:
    number = Numbered()
    for body in "abc":
        history.append(0, number(logs_frame([body])))
        history.flush()
    entries = sorted((tmp_path / LOG).glob("*.json"))
    entries[1].write_bytes(b"{")
    (tmp_path / COPIES / entries[1].name).unlink()
    with pytest.raises(Corrupt, match="logs"):
        DeltaHistory(tmp_path)


def test_a_flipped_bit_in_the_log_is_mended_from_its_copy_and_one_in_the_copy_from_the_log(
    history: DeltaHistory, tmp_path: Path
) -> None:
    number = Numbered()
    frames = [number(logs_frame([body])) for body in "abc"]
    for each in frames:
        history.append(0, each)
        history.flush()
    history._tables[Table.LOGS].tidy()
    whole = {path.name: path.read_bytes() for path in (tmp_path / LOG).iterdir() if path.name[0].isdigit()}
    assert len(whole) == 5, "four entries and a checkpoint"
    for name, data in whole.items():
        for folder, at in ((LOG, 50), (COPIES, 0), (COPIES, 50), (COPIES, 5)):
            path = tmp_path / folder / name
            flipped = bytearray(path.read_bytes())
            flipped[at] ^= 1
            path.write_bytes(flipped)
            again = DeltaHistory(tmp_path)
            assert (tmp_path / LOG / name).read_bytes() == data
            assert (tmp_path / COPIES / name).read_bytes()[9:] == data
            again.append(0, [each for one in frames for each in one])
            assert bodies(again) == ["a", "b", "c"]
        (tmp_path / LOG / name).unlink()
        assert bodies(DeltaHistory(tmp_path)) == ["a", "b", "c"], f"{name} was gone"


def test_a_flipped_bit_in_a_file_costs_its_rows_never_a_wrong_value(history: DeltaHistory, tmp_path: Path) -> None:
    number = Numbered()
    for sid in (1, 2, 3):
        history.append(0, number(samples_frame([(sid, NOON + at, float(at)) for at in range(50)])))
        history.flush()
    reference = history.pin(Table.SAMPLES)
    damaged = sorted((tmp_path / "samples").rglob("*.parquet"))[1]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 3] ^= 1
    damaged.write_bytes(data)
    again = DeltaHistory(tmp_path, config=HistoryConfig(compact=CompactConfig(settle_s=0, small_files=3, kept_hours=0)))
    found = again.query(
        "SELECT sid, count(*) AS n, sum(value) AS total FROM samples GROUP BY sid ORDER BY sid", tenant="main"
    )
    assert found.to_pylist() == [{"sid": sid, "n": 50, "total": 1225.0} for sid in (1, 3)]
    assert again.samples([2], NOON, NOON + 50, tenant="main").num_rows == 0
    assert again.damaged_files() == 1
    kept = list((tmp_path / "quarantine" / "samples").iterdir())
    assert [path.read_bytes() for path in kept] == [bytes(data)]
    with pytest.raises(Corrupt, match="damaged or gone"):
        again.pinned(reference, "FROM samples", tenant="main")
    assert again.compact() > 0
    assert again.samples([1, 2, 3], NOON, NOON + 50, tenant="main").num_rows == 100
    assert again.status()[Table.SAMPLES].rows == 100


def test_without_space_rows_stay_visible_and_the_next_flush_writes_them(
    history: DeltaHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = Numbered()(logs_frame(["a"]), samples_frame([(1, NOON, 1.0)]))
    history.append(0, frames)
    with monkeypatch.context() as broken:

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        broken.setattr(pq, "ParquetWriter", full)
        for _ in range(2):
            with pytest.raises(StorageFull):
                history.flush()
            assert bodies(history) == ["a"]
    assert not list(tmp_path.rglob("*.parquet"))
    assert history.flush() == {0: frames[-1][0]}
    assert bodies(history) == ["a"]
    assert history.status()[Table.LOGS].rows == 1


def test_a_flush_that_fails_between_two_tables_writes_none_of_them_twice(
    history: DeltaHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = Numbered()(logs_frame(["a"]), samples_frame([(1, NOON, 1.0)]))
    history.append(0, frames)
    real, calls = pq.ParquetWriter, iter([True])

    def full_after_one(*given: object, **options: object) -> pq.ParquetWriter:
        if next(calls, False):
            return real(*given, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pq, "ParquetWriter", full_after_one)
        with pytest.raises(StorageFull):
            history.flush()
    assert history.flush() == {0: frames[-1][0]}
    assert bodies(history) == ["a"]
    assert history.status()[Table.LOGS].rows == history.status()[Table.SAMPLES].rows == 1


def test_after_a_log_entry_that_could_not_be_synced_nothing_more_is_written(
    history: DeltaHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = Numbered()(logs_frame(["a"]))
    history.append(0, frames)
    real = disk.sync_file

    def fail(path: Path) -> None:
        if path.suffix == ".json":
            raise OSError(errno.EIO, "Input/output error")
        real(path)

    with monkeypatch.context() as broken:
        broken.setattr("twofold.store.history.place.sync_file", fail)
        with pytest.raises(Unavailable, match="sync"):
            history.flush()
    with pytest.raises(Unavailable, match="sync"):
        history.flush()
    again = DeltaHistory(tmp_path)
    again.append(0, frames)
    assert again.flush() == {0: frames[-1][0]}
    assert bodies(again) == ["a"]


def test_of_two_processes_that_write_the_same_partition_the_second_stops(tmp_path: Path) -> None:
    first, second = DeltaHistory(tmp_path), DeltaHistory(tmp_path)
    frames = Numbered()(logs_frame(["a"]))
    for each in (first, second):
        each.append(0, frames)
    first.flush()
    with pytest.raises(Conflict):
        second.flush()
    assert bodies(DeltaHistory(tmp_path)) == ["a"]


def test_files_that_left_a_table_leave_the_disk_unless_pinned(history: DeltaHistory, tmp_path: Path) -> None:
    number = Numbered()
    for body in "abcd":
        history.append(0, number(logs_frame([body])))
        history.flush()
    reference = history.pin(Table.LOGS)
    history.compact()
    pinned = history.pinned(reference, "SELECT body FROM logs", tenant="main")
    assert pinned.num_rows == 4
    assert len(list((tmp_path / "logs").glob("[0-9]*/*.parquet"))) == 5
    history.release(reference)
    history.compact()
    assert len(list((tmp_path / "logs").glob("[0-9]*/*.parquet"))) == 1
    assert bodies(history) == ["a", "b", "c", "d"]


def test_a_second_compaction_at_the_same_time_does_nothing(history: DeltaHistory, tmp_path: Path) -> None:
    number = Numbered()
    for body in "abcd":
        history.append(0, number(logs_frame([body])))
        history.flush()
    other = DeltaHistory(tmp_path)
    files = history._tables[Table.LOGS]
    real = files.write
    nested: list[int] = []

    def write(*given: object, **options: object) -> delta_table.NewFile:
        nested.append(other.compact())
        return real(*given, **options)  # type: ignore[arg-type]  # passed on as they came

    files.write = write  # type: ignore[method-assign]  # to act in the middle of a compaction
    assert history.compact() == 4
    assert nested == [0]


def test_a_compaction_in_pieces_keeps_every_row_sorted_and_once(tmp_path: Path) -> None:
    config = HistoryConfig(compact=CompactConfig(settle_s=0, rows=500))
    history = DeltaHistory(tmp_path, config=config)
    number = Numbered()
    for second in range(10):
        rows = [(sid, NOON + (second % 5) * SECOND, float(second)) for sid in range(400)]
        history.append(0, number(samples_frame(rows)))
        history.flush()
    history.append(0, number(samples_frame([(1, NOON + DAY, 0.0)])))
    history.flush()
    before = history.samples(range(400), NOON, NOON + DAY, tenant="main")
    assert history.compact() == 10
    assert history.samples(range(400), NOON, NOON + DAY, tenant="main").equals(before)
    status = history.status()[Table.SAMPLES]
    assert status.rows == 400 * 5 + 1, "equal rows are one now"
    assert status.files > 4
    assert history.compact() == 0


def test_files_that_follow_each_other_in_time_are_rewritten_by_series(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path, config=HistoryConfig(compact=CompactConfig(settle_s=0, rows=100)))
    number = Numbered()
    for second in range(4):
        history.append(0, number(samples_frame([(sid, NOON + second * SECOND, 1.0) for sid in range(100)])))
        history.flush()
    history.append(0, number(samples_frame([(1, NOON + DAY, 0.0)])))
    history.flush()
    assert history.compact() == 4
    files = history._tables[Table.SAMPLES].files()
    past = files.pick(files.hour == files.hour[0])
    assert len(past) > 1
    assert past.parted()
    assert history.compact() == 0


def test_other_engines_of_delta_read_the_tables(history: DeltaHistory, tmp_path: Path) -> None:
    history.append(0, Numbered()(samples_frame([(2, NOON, 1.0), (1, NOON, 2.0)]), logs_frame(["a"])))
    history.flush()
    table = deltalake.DeltaTable(str(tmp_path / "samples"))
    rows = table.to_pyarrow_table().to_pylist()
    assert rows == [
        {"sid": sid, "time_ns": NOON, "value": value, "lane": 0, "tenant": "main", "hour": NOON // (3600 * SECOND)}
        for sid, value in ((1, 2.0), (2, 1.0))
    ]
    assert deltalake.DeltaTable(str(tmp_path / "logs")).to_pyarrow_table()["body"].to_pylist() == ["a"]


def test_files_are_encoded_as_they_were_measured_to_be_small(history: DeltaHistory, tmp_path: Path) -> None:
    rows = [(sid, NOON + step * 10 * SECOND, float(step % 7)) for step in range(100) for sid in range(200)]
    history.append(0, Numbered()(samples_frame(rows)))
    history.flush()
    (file,) = (tmp_path / "samples").glob("*/*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["time_ns"].encodings
    assert "RLE_DICTIONARY" in columns["sid"].encodings
    assert "RLE_DICTIONARY" not in columns["value"].encodings
    assert {column.compression for column in columns.values()} == {"LZ4"}, "it is soon compacted"
    assert group.num_rows == len(rows)


@pytest.mark.parametrize(("digits", "listed"), [(1, True), (15, False)])
def test_lasting_files_list_values_that_come_again(tmp_path: Path, digits: int, *, listed: bool) -> None:
    history = DeltaHistory(tmp_path, config=HistoryConfig(compact=CompactConfig(settle_s=0)))
    number = Numbered()
    for part in range(2):
        rows = [(sid, NOON + part * SECOND, round(sid / 700, digits)) for sid in range(700)]
        history.append(0, number(samples_frame(rows)))
        history.flush()
    history.append(0, number(samples_frame([(1, NOON + DAY, 0.0)])))
    history.flush()
    assert history.compact() == 2
    files = history._tables[Table.SAMPLES].files()
    (path,) = files.paths[files.hour == files.hour[0]]
    value = pq.ParquetFile(tmp_path / "samples" / path).metadata.row_group(0).column(2)
    assert ("RLE_DICTIONARY" in value.encodings) == listed


def test_statistics_leave_out_files_that_cannot_hold_what_is_asked(history: DeltaHistory) -> None:
    number = Numbered()
    for block in range(5):
        history.append(0, number(samples_frame([(10 * block + sid, NOON + block, 1.0) for sid in range(3)])))
        history.flush()
    files = history._tables[Table.SAMPLES].files()
    sids = pa.array([21, 22]).to_numpy()
    assert len(files.holding(tenant="main", start_ns=0, end_ns=2 * NOON, sids=sids)) == 1
    assert len(files.holding(tenant="main", start_ns=NOON, end_ns=NOON + 2)) == 2
    assert len(files.holding(tenant="other", start_ns=0, end_ns=2 * NOON)) == 0


def test_files_of_wide_rows_hold_fewer_and_are_left_alone_then(tmp_path: Path) -> None:
    config = CompactConfig(settle_s=0, small_files=2, rows=300, step_bytes=1 << 20)
    history = DeltaHistory(tmp_path, config=HistoryConfig(compact=config))
    number = Numbered()
    sent = [random.Random(line).randbytes(2000).hex() for line in range(400)]  # noqa: S311 - repeatable, nothing secret
    for batch in range(4):
        history.append(0, number(logs_frame(sent[batch * 100 : batch * 100 + 100], time_ns=NOON + batch)))
        history.flush()
    history.append(0, number(logs_frame(["much later"], time_ns=NOON + DAY)))
    history.flush()
    assert history.compact() == 4
    assert 5 < history.status()[Table.LOGS].files < 40, (
        "a file of them all would take 1.6 MB in memory, eight times its size"
    )
    assert history.compact() == 0
    assert bodies(history) == sorted([*sent, "much later"])
