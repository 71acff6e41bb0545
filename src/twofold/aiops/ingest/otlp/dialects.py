"""The three OTLP/HTTP receivers: parse, walk, store, answer."""

from __future__ import annotations

from typing import ClassVar, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.responses import Response

from twofold.aiops.ingest.buckets import Ladders
from twofold.aiops.ingest.exemplars import Exemplars, Glances
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.known import Known
from twofold.aiops.ingest.logs.severity import completed
from twofold.aiops.ingest.otlp.exemplars import TRACE_ID, exemplars_of
from twofold.aiops.ingest.otlp.logs import ShortLogs, logs_of
from twofold.aiops.ingest.otlp.message import JSON, PROTOBUF, parse
from twofold.aiops.ingest.otlp.metrics import rows_of
from twofold.aiops.ingest.otlp.response import failure, success
from twofold.aiops.ingest.otlp.traces import ShortSpans, spans_of
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.starts import Beginnings, Starts
from twofold.errors import TwofoldError
from twofold.records.frame import FrameKind

MEDIA: Final = (PROTOBUF, JSON)


class _Otlp:
    """What the three have in common."""

    media: ClassVar[tuple[str, ...]] = MEDIA
    encoding: ClassVar[str] = ""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """A `google.rpc.Status` in the request's media type."""
        return failure(error, media)


class Metrics(_Otlp):
    """`POST /v1/metrics`."""

    name: ClassVar[str] = "otlp_metrics"
    path: ClassVar[str] = "/v1/metrics"

    def __init__(self, intake: Intake) -> None:
        super().__init__(intake)
        self.known = Known("otlp")
        self._starts = Starts()
        self._ladders = Ladders()
        self._glances = Glances()

    def receive(self, payload: Payload) -> Response:
        """Store the data points, and some of their exemplars."""
        origin = payload.origin
        exemplars = self._glances.take(lambda: self._exemplars(payload))
        begun = self._starts.request(origin.tenant, self._intake.oldest_ns(origin))
        outcome = self._intake.samples(self._rows(payload, begun), origin, exemplars)
        begun.keep()
        return success(outcome, payload.media)

    def _exemplars(self, payload: Payload) -> Exemplars | None:
        if payload.media != JSON and TRACE_ID not in payload.body:
            return None
        origin = payload.origin
        request = parse(ExportMetricsServiceRequest, payload.body, payload.media)
        return exemplars_of(request, self._intake.naming, origin.tenant, self._intake.latest_ns(origin))

    def _rows(self, payload: Payload, begun: Beginnings) -> Rows:
        tenant = payload.origin.tenant

        def validated() -> Rows:
            with self._intake.index.turns.turn(tenant):
                request = parse(ExportMetricsServiceRequest, payload.body, payload.media)
                return rows_of(request, self._intake.index, self._intake.naming, tenant, begun, self._ladders)

        return validated() if payload.media == JSON else self.known.decode(payload.body, tenant, validated)


class Logs(_Otlp):
    """`POST /v1/logs`."""

    name: ClassVar[str] = "otlp_logs"
    path: ClassVar[str] = "/v1/logs"

    def __init__(self, intake: Intake) -> None:
        super().__init__(intake)
        self.short = ShortLogs(intake.naming)

    def receive(self, payload: Payload) -> Response:
        """Store the log records."""
        intake, origin = self._intake, payload.origin
        times = (origin.time_ns, intake.latest_ns(origin))
        found = None if payload.media == JSON else self.short.decode(payload.body, origin.tenant, *times)
        if found is None:
            request = parse(ExportLogsServiceRequest, payload.body, payload.media)
            found = logs_of(request, intake.naming, origin.tenant, *times)
        batch, outcome = found
        return success(intake.batch(FrameKind.LOGS, completed(batch), outcome, origin), payload.media)


class Traces(_Otlp):
    """`POST /v1/traces`."""

    name: ClassVar[str] = "otlp_traces"
    path: ClassVar[str] = "/v1/traces"

    def __init__(self, intake: Intake) -> None:
        super().__init__(intake)
        self.short = ShortSpans(intake.naming)

    def receive(self, payload: Payload) -> Response:
        """Store the spans."""
        intake, origin = self._intake, payload.origin
        latest_ns = intake.latest_ns(origin)
        found = None if payload.media == JSON else self.short.decode(payload.body, origin.tenant, latest_ns)
        if found is None:
            request = parse(ExportTraceServiceRequest, payload.body, payload.media)
            found = spans_of(request, intake.naming, origin.tenant, latest_ns)
        batch, outcome = found
        return success(intake.batch(FrameKind.SPANS, batch, outcome, origin), payload.media)
