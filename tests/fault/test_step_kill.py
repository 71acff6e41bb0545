"""SIGKILL before a step's effect and between effect and record: it is repeated where it may be, and told elsewhere."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.durable import STEPS
from tests.fault.home import moments
from tests.fault.nursery import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.fault.durable") as opened:
        yield opened


def kill_at_steps(nursery: Nursery, root: Path, seed: int) -> None:
    """Three kills at different steps, then the end."""
    root.mkdir()
    chance = moments(seed)
    for _ in range(3):
        where = f"workflow.step:{chance.randint(1, 2 * STEPS // 4)}"
        assert nursery.run("work", str(root), where) == -signal.SIGKILL
    assert nursery.run("work", str(root), "") == 0
    effects = Counter((root / "effects").read_text().split())
    interrupted = json.loads((root / "result").read_text())
    for number in range(STEPS):
        name = f"step-{number}"
        if number % 2:
            assert name not in interrupted or effects[name] <= 1
            assert effects[name] == 1 or name in interrupted, f"{name} never ran, and nobody was told"
        else:
            assert effects[name] >= 1
            assert name not in interrupted
    repeated = {name for name, times in effects.items() if times > 1}
    assert not {name for name in repeated if int(name.partition("-")[2]) % 2}, "a step silently ran twice"
    assert len(repeated) + len(interrupted) <= 3, "each kill cuts off one step"


def test_a_step_never_silently_runs_twice(nursery: Nursery, tmp_path: Path) -> None:
    kill_at_steps(nursery, tmp_path / "data", seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_kills_at_steps(nursery: Nursery, tmp_path: Path) -> None:
    for seed in range(2, 12):
        kill_at_steps(nursery, tmp_path / f"{seed}", seed)
