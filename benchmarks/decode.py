"""Decoding, one core: OTLP and remote write of known series, lines and spans, beside protobuf (upb) walked in Python.

The same requests go both ways in the same run, from the decompressed body to columns (of sid, time and
value; of lines; of spans), and must give the same columns. `otlp_vs_upb` is how many times faster the short way is.

    python benchmarks/decode.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.exemplars import Exemplars
from twofold.aiops.ingest.known import Known, Walked
from twofold.aiops.ingest.otlp.logs import ShortLogs, logs_of
from twofold.aiops.ingest.otlp.message import PROTOBUF, parse
from twofold.aiops.ingest.otlp.metrics import rows_of
from twofold.aiops.ingest.otlp.traces import ShortSpans, spans_of
from twofold.aiops.ingest.prometheus import remote_write, remote_write2
from twofold.aiops.ingest.prometheus.message import Request2, WriteRequest
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.store.catalog.files import FileCatalog

NOW_NS = 1_790_000_000_000_000_000
POINTS = 5_000  # of one request
METRICS = 50
Value = str | int | float
Decoded = tuple[pa.RecordBatch, Outcome]


def otlp_body(number: int) -> bytes:
    """Gauges of one service, as a collector sends them: three attributes a point."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value=f"service-{number}")))
    scope = resource.scope_metrics.add()
    scope.scope.name = "benchmark"
    for metric in range(METRICS):
        data = scope.metrics.add(name=f"some.metric.number.{metric}", unit="1").gauge
        for each in range(POINTS // METRICS):
            point = data.data_points.add(
                time_unix_nano=NOW_NS, start_time_unix_nano=NOW_NS - 10**9, as_double=each * 0.5 + number
            )
            for key, value in (("host", f"host-{each}"), ("zone", "eu-west-1"), ("route", f"/api/v1/thing/{each % 7}")):
                point.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return request.SerializeToString()


def write_body(number: int) -> bytes:
    """One sample a series, as Prometheus sends them: five labels."""
    request = WriteRequest()
    for each in range(POINTS):
        series = request.timeseries.add()
        labels = {
            "__name__": f"some_metric_{each % METRICS}_total",
            "instance": f"10.0.0.{each % 250}:9100",
            "job": f"service-{number}",
            "route": f"/api/v1/thing/{each}",
            "zone": "eu-west-1",
        }
        for name, value in labels.items():
            series.labels.add(name=name, value=value)
        series.samples.add(value=each * 0.5, timestamp=NOW_NS // 10**6)
    body: bytes = request.SerializeToString()
    return body


def write2_body(number: int, *, exemplars: bool = False) -> bytes:
    """The same series as `write_body` in version 2.0, typed as counters; an exemplar on every fiftieth, or none."""
    request = Request2(symbols=[""])
    refs: dict[str, int] = {"": 0}

    def ref(text: str) -> int:
        if text not in refs:
            refs[text] = len(refs)
            request.symbols.append(text)
        return refs[text]

    for each in range(POINTS):
        series = request.timeseries.add()
        labels = {
            "__name__": f"some_metric_{each % METRICS}_seconds",
            "instance": f"10.0.0.{each % 250}:9100",
            "job": f"service-{number}",
            "route": f"/api/v1/thing/{each}",
            "zone": "eu-west-1",
        }
        series.labels_refs.extend(ref(text) for pair in labels.items() for text in pair)
        series.samples.add(value=each * 0.5, timestamp=NOW_NS // 10**6, start_timestamp=NOW_NS // 10**6 - 10**7)
        series.metadata.add(type=1, help_ref=ref(f"What metric {each % METRICS} says."), unit_ref=ref("seconds"))
        if exemplars and not each % 50:
            pair = [ref("trace_id"), ref(f"{each:032x}")]
            series.exemplars.add(labels_refs=pair, value=1.0, timestamp=NOW_NS // 10**6)
    body: bytes = request.SerializeToString()
    return body


def measure(
    walker: str,
    bodies: list[bytes],
    validated: Callable[[bytes], Rows],
    seconds: float,
    more: Callable[[Walked, bytes], None] = lambda _walked, _body: None,
) -> dict[str, float]:
    """Points a second of both ways, over all bodies in turn; `more` is what the short way does besides rows."""
    known = Known(walker)
    known.compile()
    for body in bodies:
        walked = known.walk(body)
        if walked is None:
            raise SystemExit(f"the {walker} walker gave up on a benchmark's request")
        known.learn(walked, validated(body), "main")

    def short(body: bytes) -> Rows:
        walked = known.walk(body)
        found = known.rows(walked, "main") if walked is not None else None
        if found is None:
            raise SystemExit(f"the {walker} walker did not know a series that it had learnt")
        if walked is not None:
            more(walked, body)
        return found

    for body in bodies:
        mine, theirs = short(body), validated(body)
        for column in ("sid", "time_ns", "value", "point"):
            if not np.array_equal(getattr(mine, column), getattr(theirs, column)):
                raise SystemExit(f"{walker}: column {column} differs between the two ways")
    return {
        "short": rate(lambda body: short(body).points, itertools.cycle(bodies), seconds),
        "upb": rate(lambda body: validated(body).points, itertools.cycle(bodies), seconds),
        "bytes_per_point": sum(map(len, bodies)) / (POINTS * len(bodies)),
    }


def log_body(number: int) -> bytes:
    """Lines of one service as a collector sends them: five attributes, among them a float."""
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose, nothing secret
    request = ExportLogsServiceRequest()
    found = request.resource_logs.add()
    found.resource.attributes.extend(attributes({"service.name": f"service-{number}", "host.name": "node-1"}))
    inner = found.scope_logs.add()
    for line in range(POINTS):
        took = chance.random() * 100.0
        record = inner.log_records.add(
            time_unix_nano=NOW_NS + line,
            observed_time_unix_nano=NOW_NS + line,
            severity_number=9,
            severity_text="INFO",
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
        )
        record.body.string_value = f"GET /api/v1/orders/{line} 200 took {took:.2f} ms for user u{line % 977}"
        told: dict[str, Value] = {
            "http.request.method": "GET",
            "http.route": "/api/v1/orders/{id}",
            "http.response.status_code": 200,
        }
        record.attributes.extend(attributes(told | {"duration_ms": took, "code.lineno": 231}))
    body: bytes = request.SerializeToString()
    return body


def span_body(number: int) -> bytes:
    """Server and database spans of one service, three to five attributes."""
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose, nothing secret
    request = ExportTraceServiceRequest()
    found = request.resource_spans.add()
    found.resource.attributes.extend(attributes({"service.name": f"service-{number}", "host.name": "node-1"}))
    inner = found.scope_spans.add()
    served: dict[str, Value] = {
        "http.request.method": "GET",
        "http.route": "/api/v1/orders/{id}",
        "http.response.status_code": 200,
    }
    stored: dict[str, Value] = {"db.system": "postgresql", "server.address": "orders-db", "server.port": 5432}
    for each in range(POINTS):
        asks = each % 2 == 1
        made = inner.spans.add(
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
            parent_span_id=chance.randbytes(8),
            name="SELECT orders" if asks else "GET /api/v1/orders/{id}",
            kind=3 if asks else 2,
            start_time_unix_nano=NOW_NS + each,
            end_time_unix_nano=NOW_NS + each + chance.randrange(10**8),
            flags=0x101,
        )
        made.attributes.extend(attributes(stored if asks else served | {"url.path": f"/api/v1/orders/{each}"}))
    body: bytes = request.SerializeToString()
    return body


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    """As OTLP has them."""
    made = [KeyValue(key=key) for key in values]
    for each, value in zip(made, values.values(), strict=True):
        setattr(each.value, {str: "string_value", int: "int_value", float: "double_value"}[type(value)], value)
    return made


def measure_signal(
    name: str,
    bodies: list[bytes],
    short: Callable[[bytes], Decoded | None],
    validated: Callable[[bytes], Decoded],
    seconds: float,
) -> dict[str, float]:
    """Rows a second of both ways, over all bodies in turn."""

    def walked(body: bytes) -> pa.RecordBatch:
        found = short(body)
        if found is None:
            raise SystemExit(f"the walker of {name} gave up on a benchmark's request")
        return found[0]

    for body in bodies:
        if not walked(body).equals(validated(body)[0]):
            raise SystemExit(f"{name} differ between the two ways")
    mine = rate(lambda body: int(walked(body).num_rows), itertools.cycle(bodies), seconds)
    theirs = rate(lambda body: int(validated(body)[0].num_rows), itertools.cycle(bodies), seconds)
    return {
        f"otlp_{name}_per_s": mine,
        f"otlp_{name}_upb_per_s": theirs,
        f"otlp_{name}_vs_upb": mine / theirs,
        f"otlp_{name}_bytes": sum(map(len, bodies)) / (POINTS * len(bodies)),
    }


def signals(naming: Naming, seconds: float, requests: int) -> dict[str, float]:
    """Numbers of log lines and spans."""
    lines, spans = ShortLogs(naming), ShortSpans(naming)
    lines.compile()
    spans.compile()
    late_ns = NOW_NS + 10**12
    return measure_signal(
        "log_lines",
        [log_body(number) for number in range(requests)],
        lambda body: lines.decode(body, "main", NOW_NS, late_ns),
        lambda body: logs_of(parse(ExportLogsServiceRequest, body, PROTOBUF), naming, "main", NOW_NS, late_ns),
        seconds,
    ) | measure_signal(
        "spans",
        [span_body(number) for number in range(requests)],
        lambda body: spans.decode(body, "main", late_ns),
        lambda body: spans_of(parse(ExportTraceServiceRequest, body, PROTOBUF), naming, "main", late_ns),
        seconds,
    )


def rate(decode: Callable[[bytes], int], bodies: Iterator[bytes], seconds: float) -> float:
    """Points (lines, spans) a second of processor time, best of five: what the code can do, on a busy machine too."""
    best = 0.0
    for _ in range(5):
        points, started = 0, time.thread_time()
        while time.thread_time() - started < seconds / 5:
            points += decode(next(bodies))
        best = max(best, points / (time.thread_time() - started))
    return best


def run(seconds: float, requests: int) -> dict[str, Any]:
    """All numbers."""
    import tempfile  # noqa: PLC0415 - only a run needs it

    with tempfile.TemporaryDirectory() as folder:
        catalog = FileCatalog(Path(folder), limit_per_tenant=10_000_000)
        index, naming = SeriesIndex(catalog), Naming(catalog)
        otlp = measure(
            "otlp",
            [otlp_body(number) for number in range(requests)],
            lambda body: rows_of(parse(ExportMetricsServiceRequest, body, PROTOBUF), index, naming, "main"),
            seconds,
        )
        write = measure(
            "write",
            [write_body(number) for number in range(requests)],
            lambda body: remote_write.rows_of(remote_write.parse(body), index, {}, "main"),
            seconds,
        )
        write2, pointed = (
            measure(
                "write2",
                [write2_body(number, exemplars=exemplars) for number in range(requests)],
                lambda body: (
                    remote_write2.decoded(remote_write2.parse(body), index, "main", Exemplars("main", 1)).samples
                ),
                seconds,
                lambda walked, body: remote_write2.pointed(walked, body, Exemplars("main", 1)),
            )
            for exemplars in (False, True)
        )
        others = signals(naming, seconds, requests)
    return {
        "series": requests * POINTS,
        "otlp_points_per_s": otlp["short"],
        "otlp_upb_points_per_s": otlp["upb"],
        "otlp_vs_upb": otlp["short"] / otlp["upb"],
        "otlp_bytes_per_point": otlp["bytes_per_point"],
        "remote_write_points_per_s": write["short"],
        "remote_write_upb_points_per_s": write["upb"],
        "remote_write_vs_upb": write["short"] / write["upb"],
        "remote_write_bytes_per_point": write["bytes_per_point"],
        "remote_write2_points_per_s": write2["short"],
        "remote_write2_upb_points_per_s": write2["upb"],
        "remote_write2_vs_upb": write2["short"] / write2["upb"],
        "remote_write2_bytes_per_point": write2["bytes_per_point"],
        "remote_write2_exemplars_points_per_s": pointed["short"],
        **others,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 series, a second a way; else 100,000, five")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    result = run(1.0, 2) if arguments.quick else run(5.0, 20)
    print(f"{'':24}{'short way':>16}{'upb + Python':>16}{'ratio':>9}{'bytes/point':>13}")
    for name in ("otlp", "remote_write", "remote_write2"):
        print(
            f"{name + ', points/s':24}{result[name + '_points_per_s']:>16,.0f}"
            f"{result[name + '_upb_points_per_s']:>16,.0f}"
            f"{result[name + '_vs_upb']:>8,.0f}x{result[name + '_bytes_per_point']:>13.0f}"
        )
    for name in ("log_lines", "spans"):
        mine, theirs, ratio, size = (result[f"otlp_{name}_{key}"] for key in ("per_s", "upb_per_s", "vs_upb", "bytes"))
        print(f"{'otlp ' + name + '/s':24}{mine:>16,.0f}{theirs:>16,.0f}{ratio:>8,.0f}x{size:>13.0f}")
    print(f"remote_write2 with an exemplar on every 50th series: {result['remote_write2_exemplars_points_per_s']:,.0f}")
    print(f"{result['series']:,} series, one core")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
