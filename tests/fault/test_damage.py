"""Cut off at any offset, or with a bit flipped anywhere: it is noticed, the rest is read, no value is ever wrong."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tests.fault.home import moments
from tests.telemetry import NOON, Numbered, blank_frame, logs_frame, samples_frame
from twofold.errors import Corrupt, NotFound
from twofold.flow import checkpoint
from twofold.records.frame import Lane, Position
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery, Table
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.soundness import crc_in, crc_of
from twofold.store.history.sql import SqlLimits
from twofold.store.journal import batches
from twofold.store.journal.commits import Commits
from twofold.store.journal.segments import JournalConfig, SegmentJournal

HISTORY: Final = HistoryConfig(threads=1, sql=SqlLimits(threads=1))
PAYLOADS: Final = [bytes([65 + number]) * (20 + 37 * number) for number in range(12)]
SERIES: Final = [{"host": f"h{number}", "zone": "a" * number} for number in range(20)]
STATES: Final = {("main", Lane.LIVE): {"stage": {"mean": np.arange(300.0), "names": b'["a","b"]' * 20}}}


class Kind:
    """One kind of file: how it is made, which files are damaged, and what must hold afterwards.

    Attributes:
        damaged: The file at hand.
        flipped: It has a flipped bit; else it was cut off.
    """

    damaged: Path
    flipped: bool

    def make(self, root: Path) -> None:
        raise NotImplementedError

    def files(self, root: Path) -> Sequence[Path]:
        raise NotImplementedError

    def check(self, root: Path) -> None:
        """Read everything back."""
        raise NotImplementedError


class Segments(Kind):
    config = JournalConfig(segment_bytes=1500, tail_bytes=0)

    def make(self, root: Path) -> None:
        journal = SegmentJournal(root, config=self.config)
        for payload in PAYLOADS:
            journal.append([blank_frame(payload)])
        journal.close()

    def files(self, root: Path) -> Sequence[Path]:
        return sorted((root / "p0").glob("*.log"))

    def check(self, root: Path) -> None:
        """Of the frames that the damage does not touch each is read; of those it touches, none."""
        journal = SegmentJournal(root, config=self.config)
        try:
            found = [frame.payload for _, frame in batches(journal, 0, Position(0, 0))]
        finally:
            journal.close()
        assert is_part(found, PAYLOADS), "a frame that nobody wrote"
        if self.flipped:
            assert len(found) >= len(PAYLOADS) - 1
        else:
            gone = set(PAYLOADS) - set(found)
            rest = self.damaged.read_bytes() if self.damaged.exists() else b""
            assert not any(payload in rest for payload in gone), "a frame that is all there was not read"


class Catalogs(Kind):
    def make(self, root: Path) -> None:
        catalog = FileCatalog(root)
        for labels in SERIES:
            catalog.register("cpu", labels, entity="service:cart", tenant="main")
        catalog.save()

    def files(self, root: Path) -> Sequence[Path]:
        return [root / "series.jsonl"]

    def check(self, root: Path) -> None:
        catalog = FileCatalog(root)
        found = [dict(series.labels) for series in catalog.find(tenant="main")]
        assert is_part(found, SERIES)
        if self.flipped:
            assert len(found) >= len(SERIES) - 2, "a flipped line end joins two lines"
        for number, labels in enumerate(SERIES):  # what was lost comes back under its own sid
            catalog.register("cpu", labels, entity="service:cart", tenant="main")
            assert catalog.count(tenant="main") >= number
        catalog.save()
        assert FileCatalog(root).count(tenant="main") == len(SERIES)


class Checkpoints(Kind):
    def make(self, root: Path) -> None:
        position = Position(1_700_000_000, 42)
        checkpoint.save(FileBlobs(root), "c", checkpoint.Checkpoint(position=position, states=STATES))  # type: ignore[arg-type]  # State is invariant in its value union

    def files(self, root: Path) -> Sequence[Path]:
        return [root / "c.named"]

    def check(self, root: Path) -> None:
        with pytest.raises(Corrupt):
            checkpoint.load(FileBlobs(root), "c")


class Blobs(Kind):
    def make(self, root: Path) -> None:
        blobs = FileBlobs(root)
        self.content = blobs.add(b"a model" * 30)
        blobs.put("cursor", b"10245")

    def files(self, root: Path) -> Sequence[Path]:
        return sorted(path for path in root.rglob("*") if path.is_file())

    def check(self, root: Path) -> None:
        blobs = FileBlobs(root)
        whole = 0
        for key, data in ((self.content, b"a model" * 30), ("cursor", b"10245")):
            try:
                assert blobs.get(key) == data
                whole += 1
            except (Corrupt, NotFound):
                continue
        assert whole == 1


class Positions(Kind):
    right = Position(1_700_000_000_000, 4096)

    def make(self, root: Path) -> None:
        root.mkdir()
        commits = Commits(root / "committed.json", ("history", "pipeline"))
        commits.set("history", self.right)
        commits.set("pipeline", Position(1_700_000_000_000, 2048))

    def files(self, root: Path) -> Sequence[Path]:
        return [root / "committed.json"]

    def check(self, root: Path) -> None:
        commits = Commits(root / "committed.json", ("history", "pipeline"))
        assert commits.get("history") in (Position(0, 0), self.right), "who has no position reads everything again"


class Tables(Kind):
    """Parquet files: rows of the damaged one are left out, unless only its index is damaged."""

    def make(self, root: Path) -> None:
        history, number = DeltaHistory(root, config=HISTORY), Numbered()
        for sid in (1, 2, 3):
            rows = [(sid, NOON + at, sid + at / 7) for at in range(40)]
            history.append(0, number(samples_frame(rows), logs_frame([f"{sid} {at} line" for at in range(10)])))
            history.flush()
        history.close()

    def files(self, root: Path) -> Sequence[Path]:
        return sorted(path for table in ("samples", "logs") for path in (root / table).glob("*/*.parquet"))

    def check(self, root: Path) -> None:
        samples, lines = self.rows(root)
        lost_sid = self.files(root).index(self.damaged) % 3 + 1
        kept = "samples" if self.damaged.parts[-3] == "logs" else "logs"
        indexed = self.damaged.exists() and crc_of(self.damaged) == crc_in(self.damaged.name)
        left = {
            table: [sid for sid in (1, 2, 3) if sid != lost_sid or table == kept or indexed]
            for table in ("samples", "logs")
        }
        assert samples == [(sid, NOON + at, sid + at / 7) for sid in left["samples"] for at in range(40)]
        assert lines == sorted(f"{sid} {at} line" for sid in left["logs"] for at in range(10))

    def rows(self, root: Path) -> tuple[list[tuple[int, int, float]], list[str]]:
        history = DeltaHistory(root, config=HISTORY)
        try:
            found = history.samples([1, 2, 3], NOON, NOON + 100, tenant="main").to_pylist()
            lines = history.query("SELECT body FROM logs ORDER BY body", tenant="main")["body"].to_pylist()
            asked = LineQuery(start_ns=FIRST_NS, end_ns=LAST_NS, text="LINE")
            assert sorted(history.lines(asked, tenant="main")["body"].to_pylist()) == lines
        finally:
            history.close()
        return [(row["sid"], row["time_ns"], row["value"]) for row in found], lines


class Logs(Tables):
    """Files of the Delta log and their copies: one mends the other, and nothing is lost."""

    def make(self, root: Path) -> None:
        super().make(root)
        history = DeltaHistory(root, config=HISTORY)
        history._tables[Table.SAMPLES].tidy()
        history.close()

    def files(self, root: Path) -> Sequence[Path]:
        logs = (root / "samples" / "_delta_log", root / "mirror" / "samples")
        return sorted(path for folder in logs for path in folder.iterdir() if path.name != "_last_checkpoint")

    def check(self, root: Path) -> None:
        samples, lines = self.rows(root)
        assert samples == [(sid, NOON + at, sid + at / 7) for sid in (1, 2, 3) for at in range(40)]
        assert len(lines) == 30


KINDS: Final[dict[str, tuple[Callable[[], Kind], int]]] = {
    "journal segment": (Segments, 90),
    "catalog": (Catalogs, 90),
    "checkpoint": (Checkpoints, 70),
    "blobs": (Blobs, 50),
    "committed positions": (Positions, 40),
    "Parquet": (Tables, 30),
    "Delta log": (Logs, 30),
}
"""How often each is damaged by `make test`; 400 in all, ten times that in the long run."""


def is_part(found: Sequence[object], whole: Sequence[object]) -> bool:
    """Whether the items stand in the whole, in its order."""
    rest = iter(whole)
    return all(item in rest for item in found)


def damages(path: Path, times: int, chance: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Half of them cut off, at offsets spread over all of the file, half with one flipped bit."""
    data = path.read_bytes()
    for number in range(times):
        if number % 2:
            at = chance.randrange(len(data))
            yield data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :], True
        else:
            cut = number * len(data) // times
            yield data[:cut], False


def damage(kind: Kind, root: Path, times: int, seed: int) -> None:
    chance = moments(seed)
    whole = root / "whole"
    kind.make(whole)
    files = kind.files(whole)
    share = -(-times // len(files))
    for path in files:
        for data, kind.flipped in damages(path, share, chance):
            broken = shutil.copytree(whole, root / "broken")
            kind.damaged = broken / path.relative_to(whole)
            kind.damaged.write_bytes(data)
            kind.check(broken)
            shutil.rmtree(broken)


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_noticed_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    kind, times = KINDS[name]
    damage(kind(), tmp_path, times, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", KINDS)
def test_much_damage(name: str, tmp_path: Path) -> None:
    kind, times = KINDS[name]
    damage(kind(), tmp_path, 10 * times, seed=2)
