"""Compiles what runs as machine code and leaves it where every later start finds it: `twofold kernels`.

With which types a kernel is called depends on what goes through receivers, journal and stages. So a little of every
signal is sent through the real ones, over a folder that is thrown away.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from twofold.aiops.ingest.capture import Captured
from twofold.app.serve import Server
from twofold.config import Config
from twofold.errors import Unsupported
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.time import SECOND_NS
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery

SERIES: Final = 300
STEPS: Final = 30
TRACES: Final = 20
SENT: Final = (
    "placed order {} of user u{} in 23.5 ms",
    "GET /api/cart/{} {} took 12 ms",
    "no route to 10.0.{}.{}:5432",
)
MEDIA: Final = "application/x-protobuf"

Attributes = list[dict[str, Any]]


def compile_kernels() -> float:
    """Compile every kernel, or find it compiled; returns the seconds it took.

    Raises:
        Unsupported: A stage failed on what was sent, so its kernels may be missing.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="twofold-kernels-") as folder:
        server = Server(Config(home=Path(folder)))
        try:
            for way in server.ingest.ways():
                way.compile()
            server.released.ensure()
            for number, request in enumerate(_requests()):
                server.ingest.replay(request)
                if number % 2:  # now from memory, now as it is read from the disk
                    server.runners[0].work_off()
            server.runners[0].drain()
            server.recorder.drain()
            server.recorder.flush()
            asked = LineQuery(start_ns=FIRST_NS, end_ns=LAST_NS, text="order")
            server.stores.history.lines(asked, tenant=DEFAULT_TENANT)
            failures = dict(server.runners[0].stage_failures())
        finally:
            server.stop()
    if failures:
        raise Unsupported(f"stages failed while kernels were compiled: {failures}; see the log", **failures)
    return time.monotonic() - began


def _requests() -> Iterator[Captured]:
    """Some minutes of every signal, in the order of time and not."""
    chance = random.Random(0)  # noqa: S311 - repeatable on purpose, nothing secret
    now_ns = time.time_ns() // SECOND_NS * SECOND_NS
    for step in range(STEPS):
        time_ns = now_ns + (step - STEPS) * 5 * SECOND_NS
        for path, body in (
            ("/v1/metrics", _metrics(time_ns, chance, shuffled=step % 3 == 0)),
            ("/v1/logs", _lines(time_ns, chance)),
            ("/v1/traces", _spans(time_ns, chance)),
        ):
            yield Captured(path=path, media=MEDIA, body=body, time_ns=time_ns + SECOND_NS)


def _metrics(time_ns: int, chance: random.Random, *, shuffled: bool) -> bytes:
    points = [
        {
            "time_unix_nano": time_ns - (chance.randrange(SECOND_NS) if shuffled else 0),
            "as_double": chance.gauss(10.0, 1.0),
            "attributes": _attributes(n=str(number)),
        }
        for number in range(SERIES)
    ]
    metric = {"name": "kernels", "gauge": {"data_points": points}}
    found = {"resource": _resource("a"), "scope_metrics": [{"metrics": [metric]}]}
    return bytes(ExportMetricsServiceRequest(resource_metrics=[found]).SerializeToString())


def _lines(time_ns: int, chance: random.Random) -> bytes:
    records = [
        {
            "time_unix_nano": time_ns,
            "severity_number": 9 + 8 * (number % 10 == 0),
            "body": {"string_value": SENT[number % len(SENT)].format(chance.randrange(999), chance.randrange(99))},
            "attributes": _attributes(route="/api"),
        }
        for number in range(3 * TRACES)
    ]
    found = {"resource": _resource("a"), "scope_logs": [{"log_records": records}]}
    return bytes(ExportLogsServiceRequest(resource_logs=[found]).SerializeToString())


def _spans(time_ns: int, chance: random.Random) -> bytes:
    """Of each trace a server, its client that names no peer, the server behind that, and its call of a database."""
    by_service: dict[str, list[dict[str, Any]]] = {"a": [], "b": []}
    for _ in range(TRACES):
        trace, ids = chance.randbytes(16), [chance.randbytes(8) for _ in range(4)]
        hops: Sequence[tuple[str, int, dict[str, str]]] = (
            ("a", 2, {}),
            ("a", 3, {}),
            ("b", 2, {}),
            ("b", 3, {"db.system": "postgresql", "server.address": "orders-db"}),
        )
        for number, (service, kind, told) in enumerate(hops):
            start_ns = time_ns + chance.randrange(SECOND_NS)
            span = {
                "trace_id": trace,
                "span_id": ids[number],
                "parent_span_id": ids[number - 1] if number else b"",
                "name": "GET /",
                "kind": kind,
                "start_time_unix_nano": start_ns,
                "end_time_unix_nano": start_ns + chance.randrange(SECOND_NS),
                "attributes": _attributes(**told),
            }
            by_service[service].append(span)
    found = [{"resource": _resource(name), "scope_spans": [{"spans": spans}]} for name, spans in by_service.items()]
    return bytes(ExportTraceServiceRequest(resource_spans=found).SerializeToString())


def _resource(service: str) -> dict[str, Attributes]:
    return {"attributes": _attributes(**{"service.name": service, "host.name": "node-1"})}


def _attributes(**values: str) -> Attributes:
    return [{"key": key, "value": {"string_value": value}} for key, value in values.items()]
