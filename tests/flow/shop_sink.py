"""A stand-in for Twofold: takes OTLP and change events, answers as the model, and keeps everything decoded."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """What tests look at."""

    service: str
    version: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    seconds: float
    failed: bool
    attributes: dict[str, Any]
    start_s: float


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of a metric; a histogram's value is its mean."""

    service: str
    metric: str
    labels: dict[str, Any]
    value: float
    time_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """One log record."""

    service: str
    severity: str
    body: str
    trace: str
    span: str


@dataclass
class Sink:
    """The server and what it got. `model_up` says whether the model is there."""

    model_up: bool = True
    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    questions: list[dict[str, list[float]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                status, answer = sink.take(self.path, body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Decode one request; status and body of its answer."""
        if path == "/v1/traces":
            self.spans += spans_of(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.points += points_of(ExportMetricsServiceRequest.FromString(body))
        elif path == "/v1/logs":
            self.lines += lines_of(ExportLogsServiceRequest.FromString(body))
        elif path == "/v1/changes":
            self.changes.append(json.loads(body))
        elif path == "/v2/models/recommender/infer" and self.model_up:
            return 200, self._infer(json.loads(body))
        else:
            return 404, b"{}"
        return 200, b""

    def _infer(self, asked: dict[str, Any]) -> bytes:
        columns = {part["name"]: part["data"] for part in asked["inputs"]}
        self.questions.append(columns)
        scores = [
            0.9 * (rating - 4) + 2.5 * popularity - price / 40
            for rating, popularity, price in zip(
                columns["rating"], columns["popularity"], columns["price"], strict=True
            )
        ]
        output = {"name": "score", "datatype": "FP64", "shape": [len(scores)], "data": scores}
        return json.dumps({"model_name": "recommender", "model_version": "1", "outputs": [output]}).encode()


def spans_of(request: Any) -> list[Span]:
    """All spans of an export."""
    found = []
    for block in request.resource_spans:
        resource = _attributes(block.resource.attributes)
        for scope in block.scope_spans:
            found += [
                Span(
                    service=resource["service.name"],
                    version=resource["service.version"],
                    name=span.name,
                    kind=span.kind,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    failed=span.status.code == 2,
                    attributes=_attributes(span.attributes),
                    start_s=span.start_time_unix_nano / 1e9,
                )
                for span in scope.spans
            ]
    return found


def points_of(request: Any) -> list[Point]:
    """All data points of an export."""
    found = []
    for block in request.resource_metrics:
        service = _attributes(block.resource.attributes)["service.name"]
        for metric in (metric for scope in block.scope_metrics for metric in scope.metrics):
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                if hasattr(point, "bucket_counts"):
                    value = point.sum / max(point.count, 1)
                else:
                    value = getattr(point, point.WhichOneof("value"))
                found.append(
                    Point(service, metric.name, _attributes(point.attributes), value, point.time_unix_nano / 1e9)
                )
    return found


def lines_of(request: Any) -> list[Line]:
    """All log records of an export."""
    found = []
    for block in request.resource_logs:
        service = _attributes(block.resource.attributes)["service.name"]
        for scope in block.scope_logs:
            found += [
                Line(service, log.severity_text, log.body.string_value, log.trace_id.hex(), log.span_id.hex())
                for log in scope.log_records
            ]
    return found


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
