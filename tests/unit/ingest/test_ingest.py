"""The receivers as one component: routes, tenants, partitions, clock, conservation."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from tests.unit.ingest.messages import gauge, logs_request, metrics_request, span, traces_request
from tests.unit.ingest.null import NOW_NS, Bench, Client, NullCatalog, NullJournal
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item, Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.ingest import PERMISSIONS, create_ingest
from twofold.aiops.ingest.rows import Rows
from twofold.errors import ConfigError, Unavailable
from twofold.flow.decode import decode
from twofold.flow.homes import partition_of
from twofold.records.access import Permission
from twofold.records.columns import Links
from twofold.records.frame import FrameKind, Lane

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def test_every_route_declares_its_permission() -> None:
    ingest = create_ingest(NullJournal(), NullCatalog(), Counts(), IngestConfig())
    routes = {(method, route.path) for route in ingest.routes() for method in (route.methods or set()) - {"HEAD"}}
    assert routes == {(method, path) for method, path, _ in PERMISSIONS}
    assert {permission for _, _, permission in PERMISSIONS} == {Permission.SEND}
    assert {route.path for route in ingest.routes(otlp_only=True)} == {"/v1/metrics", "/v1/logs", "/v1/traces"}


def test_the_tenant_comes_from_the_scope() -> None:
    bench = Bench()
    app = Starlette(routes=bench.ingest.routes())

    async def as_acme(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"twofold.tenant": "acme"}, receive, send)

    body = metrics_request(gauge("a", 1.0)).SerializeToString()
    Client(as_acme).post("/v1/metrics", content=body, headers=PROTOBUF)
    bench.client.post("/v1/metrics", content=body, headers=PROTOBUF)
    assert [frame.tenant for frame in bench.frames(FrameKind.SAMPLES)] == ["acme", "main"]
    assert len(bench.rows(FrameKind.SERIES)) == 2, "the same labels of two tenants are two series"


def test_partitions_split_entities_and_keep_all_of_one_and_definitions_beside_samples() -> None:
    bench = Bench(journal=NullJournal(partitions=4))
    metrics = metrics_request()
    for name in ("a", "b", "c", "d", "e", "f", "g", "h"):
        one = metrics_request(*(gauge(f"m{number}", 1.0) for number in range(5)), **{"service.name": name})
        metrics.resource_metrics.extend(one.resource_metrics)
    bench.client.post("/v1/metrics", content=metrics.SerializeToString(), headers=PROTOBUF)
    assert len(bench.journal.calls) == 1, "one append for all partitions"
    series = [(row["entity"], frame.partition) for frame in bench.frames(FrameKind.SERIES) for row in rows_of(frame)]
    assert len(series) == 40
    assert len(set(series)) == 8, "an entity's series are together"
    defined = {(row["sid"], frame.partition) for frame in bench.frames(FrameKind.SERIES) for row in rows_of(frame)}
    used = {(row["sid"], frame.partition) for frame in bench.frames(FrameKind.SAMPLES) for row in rows_of(frame)}
    assert defined == used
    assert len({partition for _, partition in used}) == 4
    for name in ("a", "b", "c", "d", "e", "f"):
        request = logs_request("x", service=name)
        bench.client.post("/v1/logs", content=request.SerializeToString(), headers=PROTOBUF)
    homes = {row["entity"]: frame.partition for frame in bench.frames(FrameKind.LOGS) for row in rows_of(frame)}
    assert len(homes) == 6
    assert len(set(homes.values())) > 1
    assert homes.items() <= dict(series).items()


def test_what_comes_together_goes_to_the_first_partition_and_spans_home_too() -> None:
    bench = Bench(journal=NullJournal(partitions=4))
    body = traces_request(*(span(f"op{n}") for n in range(3)), **{"service.name": "a"}).SerializeToString()
    bench.client.post("/v1/traces", content=body, headers=PROTOBUF)
    assert partition_of("service:a", 4) != 0
    kinds = [(frame.kind, frame.partition) for frame in bench.journal.frames]
    assert kinds == [(FrameKind.LINKS, 0), (FrameKind.SPANS, partition_of("service:a", 4))]
    (links,), _ = decode(bench.journal.frames[0])
    assert isinstance(links, Links)
    assert links.data.num_rows == 3
    bench.journal.frames.clear()
    bench.client.post("/v1/changes", content=b'{"kind": "deploy", "service": "a"}', headers=JSON)
    assert [frame.partition for frame in bench.frames(FrameKind.EVENTS)] == [0, 1, 2, 3]


def rows_of(frame: Any) -> list[dict[str, Any]]:
    bench = Bench()
    bench.journal.frames = [frame]
    return bench.rows(frame.kind)


def test_the_clock_ticks_for_tenants_with_live_telemetry_only() -> None:
    bench = Bench(config=IngestConfig(tick_s=0.02, walker=False))
    body = metrics_request(gauge("a", 1.0)).SerializeToString()

    async def run() -> None:
        await bench.ingest.start()
        bench.client.post("/v1/metrics", content=body, headers=PROTOBUF | {"x-twofold-lane": "backfill"})
        await asyncio.sleep(0.1)
        assert not bench.frames(FrameKind.TICK)
        bench.client.post("/v1/metrics", content=body, headers=PROTOBUF)
        await asyncio.sleep(0.1)
        bench.journal.error = Unavailable("gone")
        await asyncio.sleep(0.05)
        bench.journal.error = None
        before = len(bench.frames(FrameKind.TICK))
        await asyncio.sleep(0.1)
        assert len(bench.frames(FrameKind.TICK)) > before > 0
        await bench.ingest.stop()

    asyncio.run(run())
    tick = bench.frames(FrameKind.TICK)[0]
    assert (tick.time_ns, tick.lane, tick.rows) == (NOW_NS, Lane.LIVE, 0)


def test_a_new_series_met_by_many_requests_at_once_is_defined_before_each_use() -> None:
    bench = Bench(
        config=IngestConfig(workers=8)
    )  # as many as ask: each call of the client has an event loop of its own
    body = metrics_request(*(gauge(f"m{number}", 1.0) for number in range(20))).SerializeToString()
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: bench.client.post("/v1/metrics", content=body, headers=PROTOBUF), range(24))
        assert {answer.status_code for answer in answers} == {200}
    defined: set[int] = set()
    for frame in bench.journal.frames:
        if frame.kind is FrameKind.SERIES:
            defined |= {row["sid"] for row in rows_of(frame)}
        else:
            assert {row["sid"] for row in rows_of(frame)} <= defined
    assert not bench.counts.imbalance()


def test_two_namespaces_with_one_service_name_are_two_entities() -> None:
    catalog = NullCatalog()
    naming = Naming(catalog)
    shop = {"service.name": "api", "service.namespace": "shop"}
    bank = {"service.name": "api", "service.namespace": "bank"}
    assert naming.resource(shop, tenant="main") == "service:api"
    assert naming.resource(bank, tenant="main") == "service:bank/api"
    assert naming.resource({"service.name": "api"}, tenant="main") == "service:api"
    catalog.register("a", {"service.namespace": "shop"}, entity="service:api", tenant="main")
    assert Naming(catalog).resource(bank, tenant="main") == "service:bank/api", "also after a restart"


@pytest.mark.parametrize(
    ("attributes", "entity"),
    [
        ({"k8s.pod.name": "p", "host.name": "h"}, "pod:p"),
        ({"host.name": "h"}, "host:h"),
        ({}, "service:unknown"),
    ],
)
def test_a_resource_without_service_is_its_pod_or_host(attributes: dict[str, str], entity: str) -> None:
    assert Naming(NullCatalog()).resource(attributes, tenant="main") == entity


def test_counts_show_an_imbalance_and_reach_the_metrics_page() -> None:
    counts = Counts()
    counts.add(Outcome(Item.LOGS, received=3, stored=1, rows=1))
    assert counts.imbalance() == {Item.LOGS: 2}
    assert (
        counts.registry.get_sample_value(
            "twofold_ingest_items_total", {"item": "logs", "outcome": "received", "reason": ""}
        )
        == 3.0
    )


def test_a_limit_of_nothing_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="in_flight_bytes"):
        IngestConfig(in_flight_bytes=0)


def test_rows_of_nothing_screen_to_nothing() -> None:
    empty = Rows(np.array([], np.int64), np.array([], np.int64), np.array([]), np.array([], np.int32), 0)
    kept, outcome = empty.screen(NOW_NS, 600)
    assert (len(kept.sid), outcome.received) == (0, 0)
