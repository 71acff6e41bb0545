"""A label with a new value in every request: memory stays bounded, others notice nothing, the label is named."""

from __future__ import annotations

import resource
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ingest.messages import write_request
from tests.unit.ingest.null import NOW_NS, NullJournal
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.prometheus.remote_write import RemoteWrite
from twofold.aiops.ingest.receiver import Payload
from twofold.records.frame import Frame, Lane, Position
from twofold.store.catalog.files import FileCatalog

AT_ONCE = 2_000
MIB = 1 << 20


class Forgetful(NullJournal):
    """Takes everything and keeps nothing, so that memory shows what the receivers hold."""

    def append(self, frames: Any) -> list[Position]:
        found: list[Frame] = list(frames)
        return [Position(0, number) for number in range(len(found))]


def payload(tenant: str, first: int, count: int, user: str = "user_id") -> Payload:
    series = [
        ({"__name__": "requests", "job": "cart", "zone": f"z{n % 3}", user: f"u{n}"}, [(NOW_NS // 10**6, 1.0)])
        for n in range(first, first + count)
    ]
    origin = Origin(tenant=tenant, lane=Lane.LIVE, time_ns=NOW_NS)
    return Payload(body=write_request(*series).SerializeToString(), media=PROTOBUF, origin=origin)


def rss() -> int:
    """Memory of this process at its highest, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("series", "limit"),
    [(100_000, 10_000), pytest.param(1_000_000, 100_000, marks=pytest.mark.long)],
)
def test_a_cardinality_bomb_costs_bounded_memory_and_no_other_tenant(tmp_path: Path, series: int, limit: int) -> None:
    catalog = FileCatalog(tmp_path, limit_per_tenant=limit)
    counts = Counts()
    receiver = RemoteWrite(Intake(Forgetful(), catalog, counts, IngestConfig(), lambda: NOW_NS))
    receiver.known.compile()
    other = payload("other", 0, 200)

    def ask(times: int) -> list[float]:
        """Seconds that a request of the other tenant takes."""
        found = []
        for _ in range(times):
            begun = time.perf_counter()
            assert receiver.receive(other).status_code == 204
            found.append(time.perf_counter() - begun)
        return found

    ask(20)
    calm = ask(200)
    for first in range(0, limit, AT_ONCE):
        assert receiver.receive(payload("bombed", first, AT_ONCE)).status_code == 204
    before = rss()
    during: list[float] = []
    for first in range(limit, series, AT_ONCE):
        answer = receiver.receive(payload("bombed", first, AT_ONCE))
        assert answer.status_code == 400
        during += ask(4)
    assert b"label user_id has" in bytes(answer.body)
    assert catalog.count(tenant="bombed") == limit
    assert counts.total(Item.POINTS).rejected == {"cardinality": series - limit}
    assert not counts.imbalance()
    assert rss() - before < 64 * MIB
    assert statistics.median(during) < 2 * statistics.median(calm)
