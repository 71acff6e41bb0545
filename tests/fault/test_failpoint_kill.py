"""SIGKILL at nine named places: whatever was half done there, what was acknowledged stands everywhere, once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.home import Acknowledged, acknowledged, moments, settle
from tests.fault.nursery import Nursery
from twofold.store.failpoints import NAMES

STORES = [name for name in NAMES if name not in {"workflow.step", "rescale"}]
PASSES = {"journal.append": 120, "ledger.write": 80, "journal.delete": 12, "history.compact": 8}
"""Latest pass at which a process is ended, 10 elsewhere; a process lives long enough for each."""
ROUNDS = 40


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.fault.home") as opened:
        yield opened


def kill_at(nursery: Nursery, name: str, home: Path, kills: int, seed: int) -> None:
    chance = moments(seed)
    expected = Acknowledged()
    root = home / "data"
    for number in range(kills):
        root.mkdir(exist_ok=True)
        told = home / f"told-{number}"
        where = f"{name}:{chance.randint(1, PASSES.get(name, 10))}"
        ended = nursery.run("live", str(root), str(told), f"k{number}", where, ROUNDS)
        assert ended == -signal.SIGKILL, f"ended with {ended}, not killed at {where}"
        expected |= acknowledged(told)
        settle(root, expected)


@pytest.mark.parametrize("name", STORES)
def test_what_was_acknowledged_stands_everywhere_once(nursery: Nursery, name: str, tmp_path: Path) -> None:
    kill_at(nursery, name, tmp_path, kills=3, seed=8)  # after the samples are committed, and after the logs


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", STORES)
def test_many_kills(nursery: Nursery, name: str, tmp_path: Path) -> None:
    kill_at(nursery, name, tmp_path, kills=30, seed=2)
