"""Nothing that anyone can send makes a decoder raise anything but an error of ours, or answer 5xx."""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from collections.abc import Callable
from typing import Any, Final

import cramjam
import prometheus_client as prom
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

from tests.unit.ingest.messages import (
    DELTA,
    gauge,
    histogram,
    logs_request,
    metrics_request,
    span,
    total,
    traces_request,
    write_request,
)
from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench
from tests.unit.ingest.test_events import alert, notice
from tests.unit.ingest.test_predictions import GOOD
from tests.unit.ingest.test_remote_write2 import Writer, corpus
from tests.unit.ingest.test_scrape import registry
from twofold.aiops.ingest.body import Budget, decompress
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.prometheus import exposition
from twofold.aiops.ingest.prometheus.remote_write2 import MEDIA as MEDIA_2
from twofold.aiops.ingest.receiver import Payload
from twofold.errors import TwofoldError
from twofold.records.frame import Lane

SECONDS: Final = float(os.environ.get("TWOFOLD_FUZZ_S", "10"))

METRICS = metrics_request(
    gauge("a", 1.0, x="y"), total("t", 3), histogram("h", [0.1, 1.0], [1, 2, 3], 4.0), scope="lib"
)


def scaled() -> ExportMetricsServiceRequest:
    """The kinds of points that the short way does not take, with an exemplar."""
    powers, summary = Metric(name="e"), Metric(name="s")
    powers.exponential_histogram.aggregation_temporality = DELTA  # type: ignore[assignment]  # an enum's number
    point = powers.exponential_histogram.data_points.add(
        time_unix_nano=NOW_NS, start_time_unix_nano=NOW_NS - 1, scale=3
    )
    point.positive.offset = -2
    point.positive.bucket_counts.extend([1, 2])
    point.negative.bucket_counts.append(1)
    point.exemplars.add(trace_id=b"x" * 16, as_double=1.0, time_unix_nano=NOW_NS)
    summary.summary.data_points.add(time_unix_nano=NOW_NS, count=1).quantile_values.add(quantile=0.5, value=1.0)
    return metrics_request(powers, summary)


LOGS = logs_request("one", "two")
TRACES = traces_request(span("GET /", status=2, http__response__status_code=500))
WRITE = write_request(({"__name__": "up", "job": "x"}, [(NOW_NS // 10**6, 1.0), (5, float("nan"))]))


def native(version: int = 1) -> Any:
    """A request with a histogram of each schema."""
    writer = Writer()
    labels = {"__name__": "took", "job": "x"}
    made: Any = writer.request if version == 2 else write_request((labels, []))
    series = writer.series(labels, kind=3) if version == 2 else made.timeseries[0]
    for schema in (-53, 3):
        histogram = series.histograms.add(timestamp=NOW_NS // 10**6, count_int=3, sum=1.0, schema=schema)
        histogram.positive_spans.add(offset=0, length=2)
        histogram.positive_deltas.extend([1, 1])
        histogram.custom_values.extend([1.0, 2.0])
    return made


CHANGE = {"kind": "deploy", "service": "cart", "version": "1", "time": "2026-01-01T00:00:00Z", "attributes": {"a": [1]}}

PROTOBUF, JSON = "application/x-protobuf", "application/json"
BODIES: Final[dict[str, tuple[str, str, list[bytes]]]] = {
    "metrics": ("/v1/metrics", PROTOBUF, [METRICS.SerializeToString(), scaled().SerializeToString()]),
    "logs": ("/v1/logs", PROTOBUF, [LOGS.SerializeToString()]),
    "traces": ("/v1/traces", PROTOBUF, [TRACES.SerializeToString()]),
    "metrics as JSON": ("/v1/metrics", JSON, [MessageToJson(METRICS, indent=None).encode()]),
    "logs as JSON": ("/v1/logs", JSON, [MessageToJson(LOGS, indent=None).encode()]),
    "traces as JSON": ("/v1/traces", JSON, [MessageToJson(TRACES, indent=None).encode()]),
    "remote write": ("/api/v1/write", PROTOBUF, [WRITE.SerializeToString(), native().SerializeToString()]),
    "remote write 2": ("/api/v1/write", MEDIA_2, [corpus(), native(2).SerializeToString()]),
    "changes": ("/v1/changes", JSON, [json.dumps([CHANGE]).encode(), json.dumps(CHANGE).encode()]),
    "alertmanager": ("/webhooks/alertmanager", JSON, [json.dumps(notice(alert(), alert(status="resolved"))).encode()]),
    "predictions": ("/v1/predictions", JSON, [json.dumps([GOOD, GOOD]).encode()]),
}


def for_some_time(work: Callable[[bytes], object], corpus: list[bytes]) -> None:
    """Call `work` with mutated bodies; only errors of ours may come out."""
    chance = repeatable(3)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for _ in range(20):
            body = mutated(corpus, chance)
            try:
                work(body)
            except TwofoldError:
                continue
            except Exception as error:
                raise AssertionError(f"{type(error).__name__} from {body!r}") from error


@pytest.mark.parametrize("name", BODIES)
def test_a_receiver_survives_any_bytes(name: str, bench: Bench) -> None:
    path, media, corpus = BODIES[name]
    dialect: Any = next(each for each in bench.ingest.dialects if each.path == path)
    origin = Origin(tenant="main", lane=Lane.LIVE, time_ns=NOW_NS)

    def work(body: bytes) -> None:
        answer = dialect.receive(Payload(body=body, media=media, origin=origin))
        assert answer.status_code < 500
        bench.journal.frames.clear()
        bench.journal.calls.clear()

    for_some_time(work, corpus)


def test_the_scrape_parser_survives_any_bytes() -> None:
    text = open_metrics(registry())  # type: ignore[no-untyped-call]  # the library's own
    pointed = b'{"a.b",c="d"} 1 1.5 # {trace_id="ab"} 2 3\n# EOF\n'
    for_some_time(exposition.parse, [prom.generate_latest(registry()), text, pointed])


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_decompression_survives_any_bytes(encoding: str) -> None:
    body = METRICS.SerializeToString() * 20
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "zstd": bytes(cramjam.zstd.compress(body)),
        "snappy": bytes(cramjam.snappy.compress_raw(body)),
    }[encoding]
    budget = Budget(1 << 30)

    def work(broken: bytes) -> None:
        with budget.claim() as claim:
            decompress(broken, encoding, IngestConfig(), claim)

    for_some_time(work, [packed])
    assert budget.used == 0
