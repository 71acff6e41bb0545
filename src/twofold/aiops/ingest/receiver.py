"""What all receivers share: limits, decompression, tenant and lane, work off the event loop, the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twofold.aiops.ingest.body import Budget, Claim, decompress, read_body
from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.errors import DecodeError, TwofoldError, Unavailable, Unsupported
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.frame import Lane

TENANT_KEY: Final = "twofold.tenant"  # set in the ASGI scope by the auth layer
LANE_HEADER: Final = "x-twofold-lane"
JSON: Final = "application/json"
ANY_MEDIA: Final = "*/*"  # in `Dialect.media`: the body is whatever the headers say
SPARE: Final = 2  # threads past `workers`, which one tenant alone never takes
_WRITE_MESSAGE: Final = "prometheus.writerequest"  # remote write 2 sends another message under the same media type

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One request body, decompressed, and where it came in.

    Attributes:
        media: Content type without parameters, lower case.
        headers: As they came, names in lower case; empty where the protocol has none.
    """

    body: bytes
    media: str
    origin: Origin
    headers: Mapping[str, str] = field(default_factory=dict)


class Sent(NamedTuple):
    """One request as it came in: the body still compressed, and what was said of it."""

    body: bytes
    encoding: str
    media: str
    tenant: str
    lane: Lane
    headers: Mapping[str, str] = {}


class Dialect(Protocol):
    """One protocol: what it takes and how it answers.

    Attributes:
        name: Label of its request metrics.
        path: Where it listens.
        media: Content types it takes, the first being the default.
        encoding: Content-Encoding when the sender names none; JSON is plain then.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    media: ClassVar[tuple[str, ...]]
    encoding: ClassVar[str]

    def receive(self, payload: Payload) -> Response:
        """Decode, store, answer; runs in a worker thread.

        Raises:
            TwofoldError: Bad input, or nothing could be stored.
        """
        ...

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """The protocol's answer to an error."""
        ...


@runtime_checkable
class Signed(Protocol):
    """A dialect whose senders sign what they send."""

    @property
    def secured(self) -> bool:
        """Whether a secret is set, so that the signature is the credential and no token is asked for."""
        ...

    def verify(self, payload: Payload) -> None:
        """Check the signature, before anything is decoded. Raises `Unauthenticated`."""
        ...


class Receiver:
    """Runs dialects behind HTTP.

    Args:
        capture: Gets every accepted request, or None.
        now_ns: Wall clock.
    """

    def __init__(
        self,
        config: IngestConfig,
        counts: Counts,
        capture: Capture | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config = config
        self._counts = counts
        self._capture = capture
        self._now_ns = now_ns
        self._budget = Budget(config.in_flight_bytes, counts.in_flight)
        self._pool = ThreadPoolExecutor(config.workers + SPARE, thread_name_prefix="ingest")
        self._places: dict[str, asyncio.Semaphore] = {}

    def endpoint(self, dialect: Dialect) -> Callable[[Request], Awaitable[Response]]:
        """The Starlette endpoint of a dialect."""

        async def receive(request: Request) -> Response:
            return await self._answer(dialect, request)

        return receive

    async def run(self, work: Callable[[], object]) -> None:
        """Blocking work in the receivers' threads."""
        await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for running work and end the threads."""
        self._pool.shutdown()

    async def _answer(self, dialect: Dialect, request: Request) -> Response:
        started = time.perf_counter()
        media = _media(request.headers, dialect)
        try:
            with self._budget.claim() as claim:
                response = await self._receive(dialect, request, media, claim)
        except TwofoldError as error:
            response = dialect.refuse(error, media)
        except Exception:
            log.exception("receiver %s failed on %s", dialect.name, request.url.path)
            response = dialect.refuse(Unavailable("internal fault, see the log; the request was not stored"), media)
        self._counts.request(dialect.name, response.status_code, time.perf_counter() - started)
        return response

    async def _receive(self, dialect: Dialect, request: Request, media: str, claim: Claim) -> Response:
        if media not in dialect.media and ANY_MEDIA not in dialect.media:
            raise Unsupported(f"Content-Type {media[:80]!r} is not one of {', '.join(dialect.media)}", media=media)
        lane = lane_of(request.headers)
        tenant = request.scope.get(TENANT_KEY, DEFAULT_TENANT)
        usual = "" if media == JSON else dialect.encoding
        encoding = request.headers.get("content-encoding", usual).strip().lower()
        sent = await read_body(request, self._config, claim)
        return await self.take(dialect, Sent(sent, encoding, media, tenant, lane, request.headers), claim)

    def claim(self) -> Claim:
        """A claim on the bytes in flight, for a listener of another protocol than HTTP."""
        return self._budget.claim()

    async def take(self, dialect: Dialect, sent: Sent, claim: Claim) -> Response:
        """Decompress, decode, store and capture in a worker thread. Raises `TwofoldError` as the dialect does."""

        def work() -> Response:
            body = decompress(sent.body, sent.encoding, self._config, claim)
            origin = Origin(tenant=sent.tenant, lane=sent.lane, time_ns=self._now_ns())
            payload = Payload(body=body, media=sent.media, origin=origin, headers=sent.headers)
            if isinstance(dialect, Signed) and dialect.secured:
                dialect.verify(payload)
            response = dialect.receive(payload)
            if self._capture is not None:
                self._capture.record(dialect.path, sent.media, body, origin.time_ns, sent.lane, sent.headers)
            return response

        async with self._place(sent.tenant):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _place(self, tenant: str) -> asyncio.Semaphore:
        """A tenant's threads: `SPARE` are left to others, however much one sends."""
        if tenant not in self._places:
            self._places[tenant] = asyncio.Semaphore(self._config.workers)
        return self._places[tenant]


def problem(error: TwofoldError, _media: str = "") -> Response:
    """An error as `application/problem+json` (RFC 9457), for the receivers whose protocol says nothing of it."""
    code = status_of(error)
    facts = {key: str(value) for key, value in error.facts.items()}
    body = facts | {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": code,
        "detail": error.message,
        "reason": getattr(error, "reason", ""),
    }
    return JSONResponse(body, code, retry_headers(error), media_type="application/problem+json")


def _media(headers: Mapping[str, str], dialect: Dialect) -> str:
    """The content type without parameters, but for one that names another protobuf message."""
    media, _, parameters = headers.get("content-type", "").lower().partition(";")
    media = media.strip() or dialect.media[0]
    names = [
        value.strip(' "')
        for key, _, value in (each.partition("=") for each in parameters.split(";"))
        if key.strip() == "proto"
    ]
    return media if not names or names[0] == _WRITE_MESSAGE else f"{media};proto={names[0]}"


def lane_of(headers: Mapping[str, str]) -> Lane:
    """The lane that a request asks for. Raises `DecodeError` for a word that names none."""
    value = headers.get(LANE_HEADER, "live").strip().lower()
    try:
        return Lane[value.upper()]
    except KeyError:
        raise DecodeError(f"{LANE_HEADER} {value[:40]!r} is neither live nor backfill", reason="bad_lane") from None
