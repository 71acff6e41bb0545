"""The wall clock jumps hours and days, and over the ends of summer time: nothing is lost, refused or deleted for it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tests.fault.home import Home, moments
from tests.unit.flow.test_clock import SECOND, Turned
from tests.unit.ingest.messages import logs_request
from tests.unit.ingest.null import Client
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.ingest import Ingest
from twofold.flow.clock import SteadyClock
from twofold.store.retention import RetentionConfig, expire

HOUR_S, DAY_S = 3600, 86_400
JUMPS_S = {"two hours ahead": 2 * HOUR_S, "two hours back": -2 * HOUR_S, "a day ahead": DAY_S, "a day back": -DAY_S}
SUMMER_BEGINS_S, SUMMER_ENDS_S = 1_774_746_000, 1_792_890_000  # Europe, 2026: 01:00 UTC
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time that knows summer time; nothing must ever look at it."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


def jump(root: Path, jump_s: int, start_s: int, seed: int) -> None:
    """A line a second for a minute, while the clock jumps and, before the end, back."""
    chance = moments(seed)
    turned = Turned()
    turned.offset_ns = right = start_s * SECOND - turned.passed_ns
    away = range(chance.randint(3, 20), chance.randint(30, 55))
    with Home(root) as home:
        counts = Counts()
        clock = SteadyClock(turned.wall, turned.passed)
        ingest = Ingest(home.journal, home.catalog, counts, IngestConfig(walker=False), now_ns=clock)
        client = Client(Starlette(routes=ingest.routes()))
        for second in range(60):
            turned.passed_ns += SECOND
            turned.offset_ns = right + (jump_s * SECOND if second in away else 0)
            body = logs_request(f"line-{second}", time_ns=turned.passed_ns + right).SerializeToString()
            assert client.post("/v1/logs", content=body, headers=PROTOBUF).status_code == 200
            ingest.tick()
            if second % 10 == 0:
                home.chores(second)
        home.runner.drain()
        home.recorder.drain()
        home.recorder.flush()
        now = turned.passed_ns + right
        for pipeline in home.runner._pipelines.values():
            assert pipeline.watermark_ns <= now, "event time ran ahead: all that comes now would be late"
            assert pipeline.watermark_ns >= now - 30 * SECOND
        assert expire(home.history, RetentionConfig(logs_days=2), now_ns=now + jump_s * SECOND)["logs"] == 0  # type: ignore[index]  # a StrEnum is its text
        lines = Counter(home.history.query("SELECT body FROM logs", tenant="main")["body"].to_pylist())
        assert lines == Counter(f"line-{second}" for second in range(60))
        assert counts.total(Item.LOGS).stored == 60
        assert not counts.imbalance()


@pytest.mark.parametrize(("name", "start_s"), [("two hours back", SUMMER_ENDS_S - 30), ("a day ahead", 1_790_000_000)])
def test_a_jump_costs_nothing(name: str, start_s: int, tmp_path: Path) -> None:
    jump(tmp_path, JUMPS_S[name], start_s, seed=1)


@pytest.mark.parametrize("start_s", [SUMMER_BEGINS_S - 30, SUMMER_ENDS_S - 30])
def test_summer_time_costs_nothing(start_s: int, tmp_path: Path) -> None:
    jump(tmp_path, 0, start_s, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("start_s", [SUMMER_BEGINS_S - 30, SUMMER_ENDS_S - 30, 1_790_000_000, 1_790_035_170])
@pytest.mark.parametrize("name", [*JUMPS_S, "none"])
def test_no_jump_costs_anything(name: str, start_s: int, tmp_path: Path) -> None:
    jump(tmp_path, JUMPS_S.get(name, 0), start_s, seed=start_s)
