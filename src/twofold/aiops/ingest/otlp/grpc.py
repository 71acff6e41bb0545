"""OTLP over gRPC: the same three dialects as over HTTP, on the same threads, budget and counts.

Messages come as raw bytes and still compressed, so that our own limits and decoders see them and
nothing is parsed twice. The caller is admitted, and a place to read is waited for, before the body is read.

`grpc` costs 11 MB and 30 ms to import: only an enabled listener does.

Source: OpenTelemetry protocol specification, section "OTLP/gRPC"; gRPC over HTTP/2.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from twofold.aiops.ingest.body import BodyTimeout, Claim
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.otlp.response import RETRY_INFO, rpc_status
from twofold.aiops.ingest.receiver import Dialect, Receiver, Sent, lane_of
from twofold.errors import ConfigError, DecodeError, TwofoldError, Unavailable

Admit = Callable[[str, Mapping[str, str], str], Awaitable[str]]

METHODS: Final = {
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "/v1/metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "/v1/logs",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "/v1/traces",
}
_STREAMS: Final = 128  # calls of one connection at a time
_PING_MS: Final = 5_000  # senders that ping more often are sent away
_GRACE_S: Final = 5.0
_GZIP: Final = b"\x1f\x8b"  # wire type 7 does not exist: no protobuf message begins so
_ZLIB: Final = b"\x78"  # field 15, which no request has

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcEndpoint:
    """Where to listen. Port 0 takes a free one; certificate and key are PEM files, or neither."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


class GrpcListener:
    """A gRPC server on the running event loop.

    Args:
        dialects: By the path of their HTTP route.
        admit: Given that path, the call's metadata and the peer's address, the caller's tenant.

    Attributes:
        port: Where it listens, once started.
    """

    def __init__(
        self,
        endpoint: GrpcEndpoint,
        admit: Admit,
        receiver: Receiver,
        dialects: Mapping[str, Dialect],
        config: IngestConfig,
        counts: Counts,
    ) -> None:
        self.port = 0
        self._endpoint = endpoint
        self._admit = admit
        self._receiver = receiver
        self._dialects = dialects
        self._config = config
        self._counts = counts
        self._server: Any = None
        self._running: set[asyncio.Task[bytes]] = set()
        # What is being read is not in the budget yet, so as many may read as would fit were each of full size.
        self._reading = asyncio.Semaphore(max(1, config.in_flight_bytes // config.max_body_bytes))

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or the certificate cannot be read.
        """
        import grpc  # noqa: PLC0415 - costs memory and time that only this listener needs
        import grpc.aio  # noqa: PLC0415 - the same

        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        address = f"{host}:{self._endpoint.port}"
        server = grpc.aio.server(options=_options(self._config))
        server.add_generic_rpc_handlers((self._methods(grpc),))
        try:
            if self._endpoint.certificate is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, _credentials(grpc, self._endpoint))
        except RuntimeError as error:
            raise ConfigError(f"OTLP/gRPC cannot listen on {address}; choose another port", address=address) from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Take no new call and wait for those in work."""
        if self._server is not None:
            await self._server.stop(_GRACE_S)
            self._server = None
        await asyncio.gather(*self._running, return_exceptions=True)

    def _methods(self, grpc: Any) -> Any:
        """A handler of ours for each method; all others are answered UNIMPLEMENTED by the library.

        They count as methods that take a stream: these read their message themselves, when they want it.
        """
        handlers = {
            method: grpc.stream_unary_rpc_method_handler(self._method(self._dialects[path], grpc))
            for method, path in METHODS.items()
        }

        class Methods(grpc.GenericRpcHandler):  # type: ignore[misc]  # the library has no types
            def service(self, call: Any) -> Any:
                return handlers.get(call.method)

        return Methods()

    def _method(self, dialect: Dialect, grpc: Any) -> Callable[[Any, Any], Awaitable[bytes]]:
        codes = {code.value[0]: code for code in grpc.StatusCode}

        async def export(_: Any, context: Any) -> bytes:
            started = time.perf_counter()
            failure: TwofoldError | None = None
            answer = b""
            try:
                answer = await self._export(dialect, context)
            except TwofoldError as error:
                failure = error
            except Exception:
                log.exception("receiver %s failed over gRPC", dialect.name)
                failure = Unavailable("internal fault, see the log; the request was not stored")
            code, trailer = (0, ()) if failure is None else _refusal(failure)
            self._counts.request(f"{dialect.name}_grpc", code, time.perf_counter() - started)
            if failure is not None:
                await context.abort(codes[code], failure.message, trailer)
            return answer

        return export

    async def _export(self, dialect: Dialect, context: Any) -> bytes:
        """Admit, read, and hand over. The work goes on when the caller gives up: it holds budget, and may be stored."""
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        tenant = await self._admit(dialect.path, headers, _address(context.peer()))
        lane = lane_of(headers)
        with ExitStack() as stack:
            claim = stack.enter_context(self._receiver.claim())
            body = await self._read(context, claim)
            held = stack.pop_all()
        sent = Sent(body, _encoding(body), PROTOBUF, tenant, lane)
        task = asyncio.create_task(self._take(dialect, sent, claim, held))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _read(self, context: Any, claim: Claim) -> bytes:
        try:
            async with asyncio.timeout(self._config.body_timeout_s), self._reading:
                body = await context.read()
                if not isinstance(body, bytes):  # the library's mark for "no message", also for one past its limit
                    raise DecodeError("the call ended without a message", reason="disconnected")
                claim.grow(len(body))
                return body
        except TimeoutError:
            raise BodyTimeout(
                f"message not complete after {self._config.body_timeout_s:g} s",
                reason="slow_body",
                limit_s=self._config.body_timeout_s,
            ) from None

    async def _take(self, dialect: Dialect, sent: Sent, claim: Claim, held: ExitStack) -> bytes:
        with held:
            return bytes((await self._receiver.take(dialect, sent, claim)).body)


def _options(config: IngestConfig) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", config.max_body_bytes),
        ("grpc.per_message_decompression", 0),  # the library's own knows no limit: a bomb would go off in it
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.so_reuseport", 0),  # else a second process would take half of the calls
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    )


def _credentials(grpc: Any, endpoint: GrpcEndpoint) -> Any:
    if endpoint.certificate is None or endpoint.key is None:
        raise ConfigError("TLS needs a certificate and its key", setting="http.tls_key")
    try:
        pair = endpoint.key.read_bytes(), endpoint.certificate.read_bytes()
    except OSError as error:
        raise ConfigError(f"certificate or key cannot be read: {error}", setting="http.tls_certificate") from error
    return grpc.ssl_server_credentials([pair])


def _encoding(body: bytes) -> str:
    r"""How a message is compressed, which the library keeps to itself.

    >>> _encoding(b"\x0a\x00"), _encoding(b"\x1f\x8b\x08")
    ('identity', 'gzip')
    """
    if body.startswith(_GZIP):
        return "gzip"
    return "deflate" if body.startswith(_ZLIB) else "identity"


def _address(peer: str) -> str:
    """The address in the library's name of a peer; empty for what is none.

    >>> _address("ipv4:127.0.0.1:5000"), _address("ipv6:%5B::1%5D:5000"), _address("unix:")
    ('127.0.0.1', '::1', '')
    """
    family, _, rest = peer.partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]") if family in {"ipv4", "ipv6"} else ""


def _refusal(error: TwofoldError) -> tuple[int, Sequence[tuple[str, bytes]]]:
    """Code and trailing metadata: the rich error model's status, and the delay as some SDKs look for it."""
    code, status, retry = rpc_status(error)
    trailer = [("grpc-status-details-bin", status)]
    if retry:
        trailer.append((RETRY_INFO, retry))
    return code, tuple(trailer)
