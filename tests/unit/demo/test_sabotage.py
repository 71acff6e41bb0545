"""Trouble stays within its bounds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from demo.shop.sabotage import LEAK_PER_S, Filler, Hog, Leak


def run_for(work: Coroutine[Any, Any, None], seconds: float) -> None:
    async def limited() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(work, seconds)

    asyncio.run(limited())


def test_a_leak_stops_at_its_limit_and_is_freed_when_switched_off() -> None:
    leak = Leak(limit_bytes=LEAK_PER_S // 8)
    leak.switch(True)
    run_for(leak.work(), 0.9)
    assert leak.kept_bytes == leak.limit_bytes
    leak.switch(False)
    assert leak.kept_bytes == 0


def test_a_leak_that_is_off_keeps_nothing() -> None:
    leak = Leak()
    run_for(leak.work(), 0.3)
    assert leak.kept_bytes == 0


def test_a_filler_stops_at_the_budget_and_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    filler = Filler(path, budget_bytes=500_000)
    filler.switch(True)
    run_for(filler.work(), 1.2)
    assert 500_000 <= path.stat().st_size < 1_000_000
    filler.switch(False)
    assert not path.exists()


def test_a_log_left_from_before_is_rotated_away_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    path.write_bytes(b"full")
    Filler(path, budget_bytes=10)
    assert not path.exists()


def test_a_hog_burns_no_more_than_its_share_and_ends() -> None:
    hog = Hog(share=0.3)
    hog.switch(True)
    time.sleep(0.2)
    spent, begun = time.process_time(), time.monotonic()
    time.sleep(1.0)
    share = (time.process_time() - spent) / (time.monotonic() - begun)
    hog.switch(False)
    assert 0.02 < share < 0.5
    until = time.monotonic() + 3
    while any(thread.name == "hog" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.02)
