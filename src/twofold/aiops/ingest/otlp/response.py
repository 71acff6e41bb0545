"""Answers as OTLP/HTTP demands: the same media type as the request, partial success, `google.rpc.Status` on failure.

Source: OpenTelemetry protocol specification, section "OTLP/HTTP Response".
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.otlp.message import JSON, PROTOBUF
from twofold.aiops.ingest.schema import message_class
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.errors import TwofoldError

_RPC: Final = {
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
    "Status": (("code", 1, "int32"), ("message", 2, "string"), ("details", 3, "Any")),
    "FieldViolation": (("field", 1, "string"), ("description", 2, "string")),
    "BadRequest": (("field_violations", 1, "FieldViolation"),),
}
Status: Final = message_class("google.rpc", _RPC, "Status")
BadRequest: Final = message_class("google.rpc", _RPC, "BadRequest")
_BAD_REQUEST_URL: Final = "type.googleapis.com/google.rpc.BadRequest"

UNKNOWN: Final = 2  # google.rpc.Code
_CODES: Final = {400: 3, 401: 16, 403: 7, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}  # HTTP status to google.rpc.Code


def success(outcome: Outcome, media: str) -> Response:
    """200; with `partial_success` only when something was rejected."""
    rejected, text = outcome.rejected.total(), outcome.text()
    message: Message
    match outcome.item:
        case Item.LOGS:
            message = logs = ExportLogsServiceResponse()
            if rejected:
                logs.partial_success.rejected_log_records = rejected
                logs.partial_success.error_message = text
        case Item.SPANS:
            message = spans = ExportTraceServiceResponse()
            if rejected:
                spans.partial_success.rejected_spans = rejected
                spans.partial_success.error_message = text
        case _:
            message = points = ExportMetricsServiceResponse()
            if rejected:
                points.partial_success.rejected_data_points = rejected
                points.partial_success.error_message = text
    if media == JSON:
        return Response(MessageToJson(message, indent=None), media_type=JSON)
    return Response(message.SerializeToString(), media_type=PROTOBUF)


def failure(error: TwofoldError, media: str) -> Response:
    """4xx or 503 with a Status; a bad request carries its description as detail, an overload `Retry-After`."""
    code = status_of(error)
    status: dict[str, Any] = {"code": _CODES.get(code, UNKNOWN), "message": error.message}
    violation = {"field": "body", "description": error.message}
    bad = code == HTTPStatus.BAD_REQUEST
    if media == JSON:
        details = {"details": [{"@type": _BAD_REQUEST_URL, "fieldViolations": [violation]}]} if bad else {}
        return Response(orjson.dumps(status | details), code, retry_headers(error), media_type=JSON)
    if bad:
        packed = BadRequest(field_violations=[violation]).SerializeToString()
        status["details"] = [{"type_url": _BAD_REQUEST_URL, "value": packed}]
    return Response(Status(**status).SerializeToString(), code, retry_headers(error), media_type=PROTOBUF)
