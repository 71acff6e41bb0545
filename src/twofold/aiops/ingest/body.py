"""Bytes of a request: read within limits, decompressed within limits, before any decoder sees them."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable
from typing import Final, Self

import cramjam
import pyarrow as pa
from starlette.requests import ClientDisconnect, Request

from twofold.aiops.ingest.config import MIB, IngestConfig
from twofold.errors import DecodeError, Overloaded, TooLarge, Unsupported

CHUNK: Final = 256 << 10
RATIO_FREE_BYTES: Final = MIB  # below this size no ratio is asked: small bodies of zeros are harmless


class Budget:
    """Bytes of all requests in flight, bounded. Thread-safe.

    Args:
        limit_bytes: Past this a claim fails with `Overloaded`.
        note: Called with the new total after each change.
    """

    def __init__(self, limit_bytes: int, note: Callable[[int], None] = lambda _: None) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._note = note
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes claimed now."""
        return self._used

    def claim(self) -> Claim:
        """A claim of zero bytes that can grow; use it in a `with` block."""
        return Claim(self)

    def take(self, size_bytes: int) -> None:
        """Add to what is used. Raises `Overloaded` when that passes the limit."""
        with self._lock:
            if self._used + size_bytes > self._limit:
                raise Overloaded(
                    f"{self._used} bytes in flight, {size_bytes} more pass the limit of {self._limit}; retry",
                    used=self._used,
                    limit=self._limit,
                )
            self._used += size_bytes
            self._note(self._used)

    def give(self, size_bytes: int) -> None:
        """Take back."""
        with self._lock:
            self._used -= size_bytes
            self._note(self._used)


class Claim:
    """What one request holds of the budget; given back at the end of its `with` block."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size_bytes: int) -> None:
        """Claim more. Raises `Overloaded`."""
        self._budget.take(size_bytes)
        self._size += size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give(self._size)
        self._size = 0


class BodyTimeout(TooLarge):
    """The body was not complete in time (HTTP 408)."""


async def read_body(request: Request, config: IngestConfig, claim: Claim) -> bytes:
    """The whole body as sent.

    Raises:
        TooLarge: More bytes than `max_body_bytes`, by the header or in truth.
        BodyTimeout: Not complete within `body_timeout_s`.
        Overloaded: No budget left.
        DecodeError: The sender went away, or its Content-Length is no number.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise DecodeError(f"Content-Length {length[:40]!r} is not a number", reason="bad_length")
    if int(length) > config.max_body_bytes:
        raise _too_large(int(length), config.max_body_bytes)
    chunks = bytearray()
    try:
        async with asyncio.timeout(config.body_timeout_s):
            async for chunk in request.stream():
                if len(chunks) + len(chunk) > config.max_body_bytes:
                    raise _too_large(len(chunks) + len(chunk), config.max_body_bytes)
                claim.grow(len(chunk))
                chunks += chunk
    except TimeoutError:
        raise BodyTimeout(
            f"body not complete after {config.body_timeout_s:g} s, {len(chunks)} bytes read",
            reason="slow_body",
            limit_s=config.body_timeout_s,
        ) from None
    except ClientDisconnect:
        raise DecodeError("sender closed the connection before the body was complete", reason="disconnected") from None
    return bytes(chunks)


def decompress(body: bytes, encoding: str, config: IngestConfig, claim: Claim) -> bytes:
    """The body without its Content-Encoding: `identity`, `gzip`, `deflate`, `zstd` or `snappy` (block format).

    Output is cut off at the limit while it is produced, so a bomb costs no more than the limit.

    Raises:
        TooLarge: Past `max_decoded_bytes` or `max_ratio`.
        DecodeError: The bytes do not decompress.
        Unsupported: Another encoding.
        Overloaded: No budget left.
    """
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, 31, config, claim)
        case "deflate":
            return _inflate(body, _deflate_bits(body), config, claim)
        case "zstd":
            return _zstd(body, config, claim)
        case "snappy":
            return _snappy(body, config, claim)
    raise Unsupported(
        f"Content-Encoding {encoding[:40]!r} is not one of gzip, deflate, zstd, snappy, identity", encoding=encoding
    )


class _Output:
    """Decompressed chunks, counted against every limit as they come."""

    def __init__(self, body: bytes, config: IngestConfig, claim: Claim) -> None:
        self._limit = config.max_decoded_bytes
        self._ratio_limit = max(RATIO_FREE_BYTES, int(len(body) * config.max_ratio))
        self._max_ratio = config.max_ratio
        self._claim = claim
        self.data = bytearray()

    def add(self, chunk: bytes | memoryview) -> None:
        size = len(self.data) + len(chunk)
        if size > self._limit:
            raise _too_large(size, self._limit, "decompressed body")
        if size > self._ratio_limit:
            raise TooLarge(
                f"body grows more than {self._max_ratio:g} times when decompressed",
                reason="ratio",
                limit=self._max_ratio,
            )
        self._claim.grow(len(chunk))
        self.data += chunk


def _deflate_bits(body: bytes) -> int:
    """RFC 9110 says zlib (RFC 1950); some senders leave its header out."""
    zlib_header = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return 15 if zlib_header else -15


def _inflate(body: bytes, bits: int, config: IngestConfig, claim: Claim) -> bytes:
    output = _Output(body, config, claim)
    rest: bytes = body
    try:
        while rest:  # a gzip file may have several members
            member = zlib.decompressobj(bits)
            while rest and not member.eof:
                output.add(member.decompress(rest, CHUNK))
                rest = member.unconsumed_tail
            if not member.eof:
                output.add(member.flush())
            if not member.eof:
                raise DecodeError("compressed body is cut short", reason="truncated")
            rest = member.unused_data
    except zlib.error as error:
        raise DecodeError(f"body does not decompress: {error}", reason="compression") from error
    return bytes(output.data)


def _zstd(body: bytes, config: IngestConfig, claim: Claim) -> bytes:
    output = _Output(body, config, claim)
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            while (chunk := stream.read_buffer(CHUNK)).size:  # `read` leaks its bytes where the stream is broken
                output.add(memoryview(chunk))
    except OSError as error:
        raise DecodeError(f"body does not decompress: {error}", reason="compression") from error
    return bytes(output.data)


def _snappy(body: bytes, config: IngestConfig, claim: Claim) -> bytes:
    try:
        size = cramjam.snappy.decompress_raw_len(body)
    except (cramjam.DecompressionError, ValueError) as error:
        raise DecodeError(f"body is not snappy block format: {error}", reason="compression") from error
    if size > config.max_decoded_bytes:
        raise _too_large(size, config.max_decoded_bytes, "decompressed body")
    claim.grow(size)
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except (cramjam.DecompressionError, ValueError) as error:
        raise DecodeError(f"body is not snappy block format: {error}", reason="compression") from error


def _too_large(size: int, limit: int, what: str = "body") -> TooLarge:
    return TooLarge(
        f"{what} of at least {size} bytes is past the limit of {limit}; send smaller batches",
        reason="too_large",
        size=size,
        limit=limit,
    )
