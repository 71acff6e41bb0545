"""Bodies are read and decompressed within limits, and bombs cost no more than the limit."""

from __future__ import annotations

import gzip
import mmap
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import cramjam
import pytest

from tests.unit.ingest.messages import gauge, metrics_request
from tests.unit.ingest.null import Bench
from twofold.aiops.ingest.body import Budget, decompress
from twofold.aiops.ingest.config import IngestConfig
from twofold.errors import DecodeError, Overloaded, TooLarge, Unsupported

BODY = metrics_request(gauge("a", 1.0)).SerializeToString()
RAW_DEFLATE = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:10]) + gzip.compress(BODY[10:]),  # two members
    "deflate": zlib.compress(BODY),
    "zstd": bytes(cramjam.zstd.compress(BODY)),
    "snappy": bytes(cramjam.snappy.compress_raw(BODY)),
    "identity": BODY,
    "": BODY,
}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def undo(body: bytes, encoding: str, **limits: float) -> bytes:
    config = IngestConfig(**limits)  # type: ignore[arg-type]  # the test's own limits
    with Budget(1 << 30).claim() as claim:
        return decompress(body, encoding, config, claim)


@pytest.mark.parametrize("encoding", ENCODED)
def test_every_encoding_gives_the_body_back(encoding: str) -> None:
    assert undo(ENCODED[encoding], encoding) == BODY


def test_deflate_without_its_zlib_header_is_read_too() -> None:
    assert undo(RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush(), "deflate") == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_a_bomb_is_too_large_in_well_under_a_second(encoding: str) -> None:
    zeros = bytes(100 << 20)
    bombs = {
        "gzip": lambda: gzip.compress(zeros, 1),
        "deflate": lambda: zlib.compress(zeros, 1),
        "zstd": lambda: bytes(cramjam.zstd.compress(zeros)),
        "snappy": lambda: bytes(cramjam.snappy.compress_raw(zeros)),
    }
    bomb = bombs[encoding]()
    started = time.perf_counter()
    with pytest.raises(TooLarge) as caught:
        undo(bomb, encoding)
    assert caught.value.reason in {"ratio", "too_large"}
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_cut_off_and_broken_bytes_are_decode_errors(encoding: str) -> None:
    whole = ENCODED[encoding]
    for broken in (whole[:-1], whole[: len(whole) // 2], b"\xff" * 20, whole + b"garbage"):
        with pytest.raises(DecodeError):
            undo(broken, encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_broken_bytes_leave_nothing_behind(encoding: str) -> None:
    """Four kilobytes a request did stay, so that anybody could fill the memory."""

    def refuse(times: int) -> int:
        for number in range(times):
            with pytest.raises(DecodeError):
                undo(bytes([0xFF, number & 0xFF, number >> 8 & 0xFF]), encoding)
        return resident_bytes()

    before = refuse(2_000)
    assert refuse(10_000) - before < 10_000 * 400


def test_an_unknown_encoding_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="br"):
        undo(BODY, "br")


def test_the_limit_on_the_decoded_size_holds_for_honest_bodies_too() -> None:
    with pytest.raises(TooLarge, match="2000"):
        undo(gzip.compress(bytes(range(256)) * 20), "gzip", max_decoded_bytes=2000)


def test_a_budget_refuses_what_would_pass_it_and_takes_back() -> None:
    budget = Budget(100)
    with budget.claim() as claim:
        claim.grow(60)
        with budget.claim() as other, pytest.raises(Overloaded):
            other.grow(41)
        assert budget.used == 60
    assert budget.used == 0


def test_over_http_each_limit_has_its_answer() -> None:
    bench = Bench(config=IngestConfig(max_body_bytes=1000, in_flight_bytes=1500))
    headers = {"content-type": "application/x-protobuf"}
    answer = bench.client.post("/v1/metrics", content=bytes(1001), headers=headers)
    assert answer.status_code == 413
    bomb = gzip.compress(bytes(100_000))
    answer = bench.client.post("/v1/metrics", content=bomb, headers=headers | {"content-encoding": "gzip"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    answer = bench.client.post("/v1/metrics", content=b"x", headers=headers | {"content-encoding": "br"})
    assert answer.status_code == 415
    answer = bench.client.post("/v1/metrics", content=BODY, headers=headers)
    assert answer.status_code == 200


def test_a_chunked_body_is_cut_off_at_the_limit() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(600)
        yield bytes(600)

    bench = Bench(config=IngestConfig(max_body_bytes=1000))
    answer = bench.client.post("/v1/metrics", content=chunks(), headers={"content-type": "application/x-protobuf"})
    assert answer.status_code == 413
