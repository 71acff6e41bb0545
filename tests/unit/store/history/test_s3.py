"""Tables in S3-compatible storage: what was read stays here, damage here is mended, and a service may go away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bucket import bucket_of
from tests.telemetry import NOON, Numbered, logs_frame
from twofold.errors import Corrupt, TwofoldError, Unavailable
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.place import S3Place

Open = Callable[[str], DeltaHistory]
CONFIG = HistoryConfig(compact=CompactConfig(settle_s=0, small_files=2, kept_hours=0))


@pytest.fixture
def on(tmp_path: Path) -> Open:
    """Opens the one history of a bucket in a folder of the given name."""
    return lambda name: DeltaHistory(tmp_path / name, config=replace(CONFIG, s3=bucket_of(str(tmp_path))))


def bodies(history: DeltaHistory) -> list[str]:
    found: list[str] = history.query("SELECT body FROM logs ORDER BY body", tenant="main")["body"].to_pylist()
    return found


def test_what_one_machine_wrote_another_reads_and_damage_here_is_mended_from_there(on: Open, tmp_path: Path) -> None:
    number, history = Numbered(), on("one")
    frames = [number(logs_frame([body])) for body in "abc"]
    for each in frames:
        history.append(0, each)
        assert history.flush()
    other = on("two")
    assert bodies(other) == ["a", "b", "c"]
    other.append(0, frames[2])
    assert other.counts["replayed"] == 1
    assert other.compact() == 3
    cached = next((tmp_path / "two" / "logs").glob("*/*.parquet"))
    data = bytearray(cached.read_bytes())
    data[len(data) // 2] ^= 1
    cached.write_bytes(data)
    again = on("two")
    assert bodies(again) == ["a", "b", "c"]
    assert again.damaged_files() == 0
    assert cached.read_bytes() != data


def test_without_the_service_rows_stay_here_and_are_sent_later(on: Open, tmp_path: Path) -> None:
    history = on("one")
    history.append(0, Numbered()(logs_frame(["a"], time_ns=NOON)))
    place = history._tables[Table.LOGS]._place
    assert isinstance(place, S3Place)
    right, wrong = place._files, bucket_of(str(tmp_path))
    place._files = replace(wrong, endpoint="http://127.0.0.1:9").open()
    with pytest.raises(Unavailable):
        history.flush()
    assert bodies(history) == ["a"]
    place._files = right
    assert history.flush()
    assert bodies(on("two")) == ["a"]


def test_a_bucket_that_does_not_answer_is_told(tmp_path: Path) -> None:
    config = replace(bucket_of(str(tmp_path)), url="s3://no-such-bucket-here")
    with pytest.raises((Unavailable, Corrupt)) as caught:
        DeltaHistory(tmp_path, config=replace(CONFIG, s3=config))
    assert isinstance(caught.value, TwofoldError)
