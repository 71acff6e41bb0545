"""Row groups read by themselves give what a scan gives, and the newest asked for are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twofold.errors import Corrupt, Unavailable
from twofold.records.columns import SAMPLES
from twofold.store.history.blocks import Blocks
from twofold.store.history.reader import SampleReader

EVERY = (-(2**63), 2**63 - 1)


def written(path: Path, series: Sequence[int], steps: int, *, group: int, first: int = 0) -> str:
    """A file of samples: `sid * 1000 + step` at each step."""
    sid = np.repeat(np.array(series, np.int64), steps)
    time_ns = np.tile(np.arange(first, first + steps), len(series))
    rows = pa.table([sid, time_ns, (sid * 1000 + time_ns).astype(np.float64)], schema=SAMPLES)
    pq.write_table(rows, path, row_group_size=group)
    return str(path)


def test_groups_and_scan_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever series and time are asked for; of equal rows the later file's stands."""
    files = [
        written(tmp_path / "a", range(0, 100, 2), 30, group=100),
        written(tmp_path / "b", range(50, 150), 30, group=1000, first=20),
    ]
    draw = np.random.default_rng(1)
    reader = SampleReader(2, 1 << 20)
    for _ in range(40):
        sids = np.unique(draw.integers(-5, 160, int(draw.integers(1, 120))))
        start, end = sorted(draw.integers(-5, 60, 2).tolist())
        found = []
        for worth in (True, False):
            monkeypatch.setattr(Blocks, "worth", lambda *_, worth=worth: worth)
            found.append(reader.read(files, [], sids, start, end))
        assert found[0].equals(found[1])
    assert reader.read(files, [], np.array([60]), 0, 60).num_rows == 50
    reader.close()


def test_what_is_kept_has_a_bound_and_large_requests_keep_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "a", range(100), 100, group=1000)
    blocks = Blocks(100_000, 2)  # six groups of 16 KB

    def ask(*sids: int) -> int:
        wanted = np.array(sids)
        groups = blocks.groups([file], wanted, *EVERY)
        return sum(len(rows.sid) for _, rows in blocks.read(groups, wanted, *EVERY))

    assert ask(*range(100)) == 10_000
    assert blocks.size_bytes == 0
    for sid in range(0, 100, 10):
        assert ask(sid) == 100
        assert 0 < blocks.size_bytes <= 100_000
    assert ask(1000) == 0
    blocks.close()
    assert blocks.size_bytes == 0


def test_row_groups_are_worth_it_when_most_is_wanted_or_when_they_are_wanted_again(tmp_path: Path) -> None:
    file = written(tmp_path / "a", range(100), 100, group=1000)
    blocks = Blocks(3 << 20, 1)

    def worth(*sids: int) -> bool:
        wanted = np.array(sids)
        return blocks.worth(blocks.groups([file], wanted, *EVERY), len(sids))

    assert [worth(5), worth(5), worth(7)] == [False, True, True]
    assert [worth(25), worth(35), worth(45), worth(5)] == [False] * 4
    assert worth(*range(100))
    blocks.close()


def test_a_file_that_is_none_or_gone_is_told(tmp_path: Path) -> None:
    blocks = Blocks(1 << 20, 1)
    (tmp_path / "no").write_bytes(b"no parquet at all, whatever it may be called")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other")
    for name in ("no", "other"):
        with pytest.raises(Corrupt, match="restore it from a backup"):
            blocks.groups([str(tmp_path / name)], np.array([1]), *EVERY)
    with pytest.raises(Unavailable):
        blocks.groups([str(tmp_path / "gone")], np.array([1]), *EVERY)
    blocks.close()


def test_a_file_cut_after_its_footer_was_read_is_told(tmp_path: Path) -> None:
    file = written(tmp_path / "a", range(100), 100, group=1000)
    blocks = Blocks(1 << 20, 1)
    groups = blocks.groups([file], np.array([95]), *EVERY)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:1000])
    with pytest.raises((Corrupt, Unavailable)):
        blocks.read(groups, np.array([95]), *EVERY)
    blocks.close()
