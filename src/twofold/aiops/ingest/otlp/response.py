"""Answers as OTLP demands: the same media type as the request, partial success, `google.rpc.Status` on failure.

Source: OpenTelemetry protocol specification, sections "OTLP/HTTP Response", "Failures" and "OTLP/gRPC Throttling".
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

from twofold.aiops.ingest.body import BodyTimeout
from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.otlp.message import JSON, PROTOBUF
from twofold.aiops.ingest.schema import message_class
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.errors import Denied, TooLarge, TwofoldError, Unauthenticated

_RPC: Final = {
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
    "Status": (("code", 1, "int32"), ("message", 2, "string"), ("details", 3, "Any")),
    "FieldViolation": (("field", 1, "string"), ("description", 2, "string")),
    "BadRequest": (("field_violations", 1, "FieldViolation"),),
    "Duration": (("seconds", 1, "int64"),),
    "RetryInfo": (("retry_delay", 1, "Duration"),),  # one in truth, and a list of one is the same bytes
}
Status: Final = message_class("google.rpc", _RPC, "Status")
BadRequest: Final = message_class("google.rpc", _RPC, "BadRequest")
RetryInfo: Final = message_class("google.rpc", _RPC, "RetryInfo")
RETRY_INFO: Final = "google.rpc.retryinfo-bin"  # metadata in which the Python SDK looks for it
_RETRY_INFO_URL: Final = "type.googleapis.com/google.rpc.RetryInfo"
_BAD_REQUEST_URL: Final = "type.googleapis.com/google.rpc.BadRequest"

UNKNOWN: Final = 2  # google.rpc.Code
_DETAILED: Final = frozenset({3, 8, 14})  # INVALID_ARGUMENT says what is wrong, the others when to come back
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


def rpc_status(error: TwofoldError) -> tuple[int, bytes, bytes]:
    """Code, `google.rpc.Status` and, for what may succeed later, `google.rpc.RetryInfo`, of a gRPC answer.

    A sender may send again on UNAVAILABLE, and on RESOURCE_EXHAUSTED if it is told when; so what is too
    large is INVALID_ARGUMENT like all other bad input.
    """
    code = _rpc_code(error)
    delay_s = retry_headers(error).get("retry-after")
    if delay_s is None:
        violation = {"field": "body", "description": error.message}
        url, packed = _BAD_REQUEST_URL, BadRequest(field_violations=[violation]).SerializeToString()
    else:
        url, packed = _RETRY_INFO_URL, RetryInfo(retry_delay=[{"seconds": int(delay_s)}]).SerializeToString()
    details = [{"type_url": url, "value": packed}] if code in _DETAILED else []
    status: bytes = Status(code=code, message=error.message, details=details).SerializeToString()
    return code, status, b"" if delay_s is None else packed


def _rpc_code(error: TwofoldError) -> int:
    match error:
        case Unauthenticated():
            return 16
        case Denied():
            return 7
        case BodyTimeout():
            return 4
        case TooLarge():
            return 3
    return int(_CODES.get(status_of(error), UNKNOWN))


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
