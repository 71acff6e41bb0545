"""Elasticsearch's bulk protocol, for senders that know nothing else: Filebeat, Fluent Bit, Vector, Logstash.

Everything lives under `/elasticsearch` (`hosts: ["http://twofold:7070/elasticsearch"]`). Documents of `create` and
`index` become log lines; other actions are refused one by one. Indices, templates and pipelines do not exist here:
what senders ask or set up before they begin is answered so that they begin, and changes nothing.

Source: Elasticsearch 8 documentation, "Bulk API"; the start of Filebeat 8, Fluent Bit and Vector.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.documents import document
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.errors import DecodeError, InputError, Overloaded, TwofoldError
from twofold.records.access import Permission
from twofold.records.frame import FrameKind

PREFIX: Final = "/elasticsearch"
VERSION: Final = "8.15.0"  # the one that senders of today talk to
PRODUCT: Final = {"x-elastic-product": "Elasticsearch"}  # without it Elastic's own clients go away
_ACTIONS: Final = frozenset({"create", "index"})
_OTHERS: Final = frozenset({"update", "delete"})
_CREATED: Final = 201
_BAD: Final = 400
_MAX_SHOWN: Final = 200

_INFO: Final = {
    "name": "twofold",
    "cluster_name": "twofold",
    "cluster_uuid": "twofold",
    "version": {
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "lucene_version": "9.11.1",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "You Know, for Search",
}
_LICENSE: Final = {"license": {"uid": "twofold", "type": "basic", "mode": "basic", "status": "active"}}
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "": _INFO,
    "/": _INFO,
    "/_license": _LICENSE,
    "/_xpack": _LICENSE | {"features": {"ilm": {"available": False, "enabled": False}}},
    "/_cluster/health": {"cluster_name": "twofold", "status": "green", "timed_out": False},
    "/_cat/health": {"cluster": "twofold", "status": "green"},
}
_SET_UP: Final = (
    "/_ilm/policy/{name}",
    "/_template/{name}",
    "/_index_template/{name}",
    "/_component_template/{name}",
    "/_ingest/pipeline/{name}",
    "/_data_stream/{name}",
)


class Bulk:
    """`POST /elasticsearch/_bulk`, also with an index in its path, which changes nothing."""

    name: ClassVar[str] = "elasticsearch"
    path: ClassVar[str] = f"{PREFIX}/_bulk"
    media: ClassVar[tuple[str, ...]] = (
        "application/x-ndjson",
        "application/json",
        "application/vnd.elasticsearch+x-ndjson",
        "application/vnd.elasticsearch+json",
    )
    encoding: ClassVar[str] = ""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def receive(self, payload: Payload) -> Response:
        """Store the documents; the answer has one item an action, in their order."""
        origin = payload.origin
        latest_ns = self._intake.latest_ns(origin)
        lines = Lines()
        items = [_item(action, source, lines, latest_ns) for action, source in actions(payload.body)]
        batch, outcome = lines.batch(origin.time_ns, latest_ns)
        self._intake.batch(FrameKind.LOGS, batch, outcome, origin)
        failed = b"true" if outcome.rejected else b"false"
        body = b'{"took":0,"errors":%s,"items":[%s]}' % (failed, b",".join(items))
        return Response(body, headers=PRODUCT, media_type="application/json")

    def refuse(self, error: TwofoldError, media: str) -> Response:  # noqa: ARG002 - every dialect is told the media type
        """An error as Elasticsearch words it."""
        code = status_of(error)
        kind = "es_rejected_execution_exception" if isinstance(error, Overloaded) else "illegal_argument_exception"
        body = {"error": {"type": kind, "reason": error.message}, "status": code}
        return JSONResponse(body, code, retry_headers(error) | PRODUCT)


def actions(body: bytes) -> list[tuple[str, bytes]]:
    """The actions of a body with their documents' bytes, empty for `delete`.

    Raises:
        DecodeError: An action line is none, for then nobody knows which lines are documents; nothing is stored.
    """
    found: list[tuple[str, bytes]] = []
    known: dict[bytes, str] = {}
    lines = iter(body.split(b"\n"))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        action = known.get(line)
        if action is None:
            action = known[line] = _action(line, number)
        found.append((action, b"" if action == "delete" else next(lines, b"")))
    return found


def _action(line: bytes, number: int) -> str:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or len(value) != 1 or (name := next(iter(value))) not in _ACTIONS | _OTHERS:
        raise DecodeError(
            f"action {number} is {line[:80]!r}, must be an object with one of create, index, update, delete",
            reason="decode",
        )
    return str(name)


_GOOD: Final = {
    name: orjson.dumps({name: {"_index": "logs", "_id": "", "result": "created", "status": _CREATED}})
    for name in _ACTIONS
}


def _item(action: str, source: bytes, lines: Lines, latest_ns: int) -> bytes:
    """Add the document to `lines`; what the answer says of it."""
    try:
        if action not in _ACTIONS:
            raise DecodeError(f"{action} is not possible: lines are only added", reason="unsupported_action")
        try:
            value = orjson.loads(source)
        except orjson.JSONDecodeError as error:
            raise DecodeError(f"document is not JSON: {error}", reason="bad_document") from error
        if not isinstance(value, dict):
            raise DecodeError(f"document is {type(value).__name__}, must be an object", reason="bad_document")
        found = document(value)
        if found.time_ns > latest_ns:
            raise DecodeError("its time lies too far in the future", reason="future")
        found.into(lines)
    except InputError as error:
        lines.rejected[error.reason] += 1
        reason = {"type": "document_parsing_exception", "reason": error.message[:_MAX_SHOWN]}
        return orjson.dumps({action: {"_index": "logs", "_id": "", "status": _BAD, "error": reason}})
    return _GOOD[action]


def routes(endpoint: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """More ways to `endpoint`, which takes bulks, and all that senders ask before they begin."""
    found = [
        Route(Bulk.path, endpoint, methods=["PUT"]),
        Route(f"{PREFIX}/{{index}}/_bulk", endpoint, methods=["POST", "PUT"]),
    ]
    found += [Route(PREFIX + path, _answering(body), methods=["GET"]) for path, body in _ANSWERS.items()]
    return found + [
        route
        for path in _SET_UP
        for route in (
            Route(PREFIX + path, _answering({}), methods=["GET"]),
            Route(PREFIX + path, _answering({"acknowledged": True}), methods=["PUT"]),
        )
    ]


PERMISSIONS: Final = [
    ("PUT", Bulk.path, Permission.SEND),
    *((method, f"{PREFIX}/{{index}}/_bulk", Permission.SEND) for method in ("POST", "PUT")),
    *(("GET", PREFIX + path, Permission.SEND) for path in _ANSWERS),
    *((method, PREFIX + path, Permission.SEND) for path in _SET_UP for method in ("GET", "PUT")),
]


def _answering(body: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return JSONResponse(body, headers=PRODUCT)

    return answer
