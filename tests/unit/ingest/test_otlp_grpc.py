"""gRPC answers by the same rules as HTTP: codes, details, limits, admission; and holds no more than its budget."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]  # it has no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it has no types
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from tests.unit.ingest.messages import gauge, logs_request, metrics_request, span, total, traces_request
from tests.unit.ingest.null import Bench
from twofold.aiops.ingest.capture import Capture, read_capture
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.otlp.grpc import METHODS, GrpcEndpoint
from twofold.errors import ConfigError, Denied, Overloaded, StorageFull, Unauthenticated
from twofold.records.frame import FrameKind, Lane

METRICS, LOGS, TRACES = METHODS
ONE = metrics_request(gauge("a", 1.0)).SerializeToString()
Call = Callable[..., Coroutine[Any, Any, Any]]


async def anybody(_path: str, _headers: Mapping[str, str], _address: str) -> str:
    return "main"


@asynccontextmanager
async def serving(bench: Bench, admit: Any = anybody, **endpoint: Any) -> AsyncIterator[Call]:
    """A function that calls a method with a message; a refusal comes out as an exception."""
    listener = bench.ingest.listen_grpc(GrpcEndpoint(host="127.0.0.1", port=0, **endpoint), admit)
    await bench.ingest.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:

            async def call(method: str, message: bytes, **options: Any) -> bytes:
                answer: bytes = await channel.unary_unary(method)(message, timeout=20, **options)
                return answer

            yield call
    finally:
        await bench.ingest.stop()


def port_of(bench: Bench) -> int:
    """Where its gRPC listener is."""
    assert bench.ingest.grpc is not None
    return bench.ingest.grpc.port


def refused(bench: Bench, message: bytes = ONE, *, method: str = METRICS, admit: Any = anybody, **options: Any) -> Any:
    """The error that a call is answered with."""

    async def run() -> Any:
        async with serving(bench, admit) as call:
            with pytest.raises(grpc.aio.AioRpcError) as found:
                await call(method, message, **options)
            return found.value

    return asyncio.run(run())


def details(error: Any) -> tuple[Status, dict[str, bytes]]:
    """The rich status and all trailing metadata."""
    trailer = dict(error.trailing_metadata() or ())
    return Status.FromString(trailer["grpc-status-details-bin"]), trailer


def test_each_signal_is_stored(bench: Bench) -> None:
    async def run() -> None:
        async with serving(bench) as call:
            await call(METRICS, ONE)
            await call(LOGS, logs_request("hello").SerializeToString(), compression=grpc.Compression.Gzip)
            await call(TRACES, traces_request(span("GET /")).SerializeToString(), compression=grpc.Compression.Deflate)

    asyncio.run(run())
    assert bench.samples()
    assert [row["body"] for row in bench.rows(FrameKind.LOGS)] == ["hello"]
    assert [row["name"] for row in bench.rows(FrameKind.SPANS)] == ["GET /"]


def test_partial_success_is_told(bench: Bench) -> None:
    async def run() -> bytes:
        async with serving(bench) as call:
            request = metrics_request(gauge("a", 1.0), total("t", 1, temporality=0))
            answer: bytes = await call(METRICS, request.SerializeToString())
            return answer

    answer = ExportMetricsServiceResponse.FromString(asyncio.run(run()))
    assert answer.partial_success.rejected_data_points == 1
    assert "no_temporality 1" in answer.partial_success.error_message


@pytest.mark.parametrize(
    ("error", "code", "delay_s"),
    [
        (Overloaded("queue full", retry_after_s=3), grpc.StatusCode.RESOURCE_EXHAUSTED, 3),
        (StorageFull("disk full"), grpc.StatusCode.UNAVAILABLE, 30),
        (RuntimeError("bug"), grpc.StatusCode.UNAVAILABLE, 5),
    ],
)
def test_what_may_succeed_later_says_when(bench: Bench, error: Exception, code: Any, delay_s: int) -> None:
    bench.journal.error = error
    found = refused(bench)
    status, trailer = details(found)
    assert (found.code(), status.code, status.message) == (code, code.value[0], found.details())
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == delay_s
    assert RetryInfo.FromString(trailer["google.rpc.retryinfo-bin"]) == retry


@pytest.mark.parametrize(
    "message",
    [b"\xff\xff\xff", b"\x1f\x8bno gzip", b"x\x9cno zlib", gzip.compress(ONE)[:-5]],
    ids=["no message", "no gzip", "no zlib", "cut off"],
)
def test_bad_input_is_invalid_argument_and_not_sent_again(bench: Bench, message: bytes) -> None:
    found = refused(bench, message)
    status, trailer = details(found)
    assert found.code() is grpc.StatusCode.INVALID_ARGUMENT
    described = BadRequest()
    assert status.details[0].Unpack(described)
    assert described.field_violations[0].description == found.details()
    assert "google.rpc.retryinfo-bin" not in trailer


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_bomb_does_not_go_off(bench: Bench, pack: Callable[[bytes], bytes]) -> None:
    found = refused(bench, pack(bytes(64 << 20)))
    assert found.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "limit" in found.details() or "times" in found.details()


def test_a_message_past_the_limit_is_refused() -> None:
    bench = Bench(config=IngestConfig(walker=False, max_body_bytes=10_000))
    found = refused(bench, b"\x0a" + bytes(20_000))
    assert found.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not bench.journal.frames


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthenticated("who?"), grpc.StatusCode.UNAUTHENTICATED),
        (Denied("not you"), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_strangers_are_turned_away_before_their_message_is_read(bench: Bench, error: Exception, code: Any) -> None:
    async def nobody(_path: str, _headers: Mapping[str, str], _address: str) -> str:
        raise error

    assert refused(bench, admit=nobody).code() is code
    assert not bench.journal.frames


def test_the_tenant_is_what_admission_says_by_path_metadata_and_address(bench: Bench) -> None:
    asked: list[tuple[str, str | None, str]] = []

    async def admit(path: str, headers: Mapping[str, str], address: str) -> str:
        asked.append((path, headers.get("authorization"), address))
        return "acme"

    async def run() -> None:
        async with serving(bench, admit) as call:
            metadata = (("authorization", "Bearer x"), ("x-twofold-lane", "backfill"), ("x-scope-orgid", "other"))
            await call(LOGS, logs_request("hello").SerializeToString(), metadata=metadata)

    asyncio.run(run())
    assert asked == [("/v1/logs", "Bearer x", "127.0.0.1")]
    assert {(frame.tenant, frame.lane) for frame in bench.journal.frames} == {("acme", Lane.BACKFILL)}


def test_a_lane_that_does_not_exist_is_refused(bench: Bench) -> None:
    assert refused(bench, metadata=(("x-twofold-lane", "fast"),)).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_another_method_is_unimplemented(bench: Bench) -> None:
    assert refused(bench, method="/a.B/Export").code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_that_never_comes_ends_at_the_deadline_and_holds_nothing() -> None:
    bench = Bench(config=IngestConfig(walker=False, body_timeout_s=0.2, in_flight_bytes=20 << 20))

    async def run() -> Any:
        async with serving(bench) as call, grpc.aio.insecure_channel(f"127.0.0.1:{port_of(bench)}") as channel:
            slow = channel.stream_unary(METRICS)()
            with pytest.raises(grpc.aio.AioRpcError) as found:
                await slow
            await call(METRICS, ONE)
            return found.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert bench.samples()


def test_too_much_in_flight_is_told_to_come_back_and_the_budget_is_given_back() -> None:
    config = IngestConfig(walker=False, in_flight_bytes=100_000, max_body_bytes=50_000, max_decoded_bytes=200_000)
    bench = Bench(config=config)
    gate = threading.Event()
    append = bench.journal.append

    def slow(frames: Any) -> Any:
        gate.wait(10)
        return append(frames)

    bench.journal.append = slow  # type: ignore[method-assign]  # a slow disk
    big = metrics_request(*(gauge(f"metric.{number}", 1.0) for number in range(1000))).SerializeToString()
    assert 30_000 < len(big) < 50_000

    async def run() -> list[Any]:
        async with serving(bench) as call:
            waiting = [asyncio.create_task(call(METRICS, big)) for _ in range(4)]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            found = [task.exception() for task in done]
            gate.set()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            await call(METRICS, big)
            return [*found, *(each for each in results if isinstance(each, bytes))]

    first, *rest = asyncio.run(run())
    assert first.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rest, "others were stored"


def test_a_caller_that_gives_up_leaves_no_budget_behind() -> None:
    bench = Bench()
    gate = threading.Event()
    append = bench.journal.append

    def slow(frames: Any) -> Any:
        gate.wait(10)
        return append(frames)

    bench.journal.append = slow  # type: ignore[method-assign]  # a slow disk

    async def run() -> None:
        async with serving(bench) as call:
            task = asyncio.create_task(call(METRICS, gzip.compress(ONE)))
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gate.set()

    asyncio.run(run())
    assert bench.samples(), "the work went on"
    assert bench.counts.registry.get_sample_value("twofold_ingest_in_flight_bytes") == 0


def test_a_capture_taken_over_grpc_is_one_taken_over_http(tmp_path: Path) -> None:
    with Capture(tmp_path / "c") as tap:
        bench = Bench(capture=tap)

        async def run() -> None:
            async with serving(bench) as call:
                await call(METRICS, ONE, compression=grpc.Compression.Gzip)

        asyncio.run(run())
    (found,) = read_capture(tmp_path / "c")
    assert (found.path, found.media, found.body) == ("/v1/metrics", "application/x-protobuf", ONE)


def test_a_taken_port_and_a_missing_certificate_stop_the_start(bench: Bench, tmp_path: Path) -> None:
    async def taken() -> None:
        async with serving(bench):
            second = Bench()
            second.ingest.listen_grpc(GrpcEndpoint(host="127.0.0.1", port=port_of(bench)), anybody)
            with pytest.raises(ConfigError, match="choose another port"):
                await second.ingest.start()
            await second.ingest.stop()

    async def missing() -> None:
        nowhere = tmp_path / "nowhere.pem"
        async with serving(Bench(), certificate=nowhere, key=nowhere):
            raise AssertionError("it started")

    asyncio.run(taken())
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        asyncio.run(missing())


def test_tls_with_the_certificate_of_the_other_listeners(bench: Bench, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    assert ssl.create_default_context(cafile=str(certificate))

    async def run() -> None:
        async with serving(bench, certificate=certificate, key=key):
            trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
            address = f"127.0.0.1:{port_of(bench)}"
            named = (("grpc.ssl_target_name_override", "localhost"),)
            async with grpc.aio.secure_channel(address, trusted, options=named) as channel:
                await channel.unary_unary(METRICS)(ONE, timeout=20)

    asyncio.run(run())
    assert bench.counts.total(Item.POINTS).stored == 1


def test_the_library_is_loaded_by_a_listener_alone() -> None:
    look = "import sys, twofold.aiops.ingest.ingest; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
