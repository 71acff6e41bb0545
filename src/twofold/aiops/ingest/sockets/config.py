"""Settings of the listeners for syslog and StatsD."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twofold.errors import ConfigError
from twofold.records.entity import DEFAULT_TENANT

_LAST_PORT = 65_535


class Transport(StrEnum):
    """How messages come in."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What every listener has. These protocols carry no credentials, so it says who may speak and for which tenant.

    Attributes:
        host: Address to bind. Any but loopback needs `allow`, or TLS with `clients`.
        port: 0 takes a free one.
        tenant: Whose telemetry this is.
        allow: Networks (`10.0.0.0/8`) that are heard; empty hears everyone who can reach `host`.
        max_message_bytes: Longer messages are cut.
        queue_messages: Messages that wait for the journal. Past it UDP drops (counted), TCP stops reading.
        max_connections: TCP connections at a time; more are closed at once.

    Raises:
        ConfigError: A number is out of range, a network is none, or a reachable address hears everyone.
    """

    transport: Transport = Transport.UDP
    host: str = "127.0.0.1"
    port: int = 0
    tenant: str = DEFAULT_TENANT
    allow: tuple[str, ...] = ()
    max_message_bytes: int = 65_536
    queue_messages: int = 200_000
    max_connections: int = 1_000

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _LAST_PORT:
            raise ConfigError(f"listener port {self.port} is not between 0 and {_LAST_PORT}", setting="port")
        for name in ("max_message_bytes", "queue_messages", "max_connections"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"listener {name} is {getattr(self, name)}; it must be above 0", setting=name)
        try:
            self.networks()
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError as error:
            raise ConfigError(f"listener {self.host}: {error}", setting="allow") from error
        if not loopback and not self.allow and not self.authenticates():
            raise ConfigError(
                f"listener {self.host}:{self.port} would hear everyone who reaches it; name networks in `allow`, "
                "or use TLS with `clients`",
                setting="allow",
            )

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`allow`, parsed."""
        return tuple(ipaddress.ip_network(each) for each in self.allow)

    def authenticates(self) -> bool:
        """Whether senders show a certificate."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogListener(Listener):
    """A syslog listener: RFC 5424 and RFC 3164, told apart by message; over TCP and TLS either framing of RFC 6587.

    Attributes:
        zone: IANA time zone of RFC 3164 times, which carry none.
        certificate, key: PEM files for TLS.
        clients: PEM file of the authorities whose clients may speak; without it TLS only encrypts.

    Raises:
        ConfigError: As `Listener`; TLS without certificate and key; no such zone.
    """

    port: int = 1514
    zone: str = "UTC"
    certificate: Path | None = None
    key: Path | None = None
    clients: Path | None = None

    def __post_init__(self) -> None:
        Listener.__post_init__(self)
        if self.transport is Transport.TLS and (self.certificate is None or self.key is None):
            raise ConfigError(
                f"syslog over TLS on port {self.port} needs `certificate` and `key`", setting="certificate"
            )
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(f"syslog zone {self.zone!r} is not an IANA time zone", setting="zone") from error

    def authenticates(self) -> bool:
        """Whether senders show a certificate."""
        return self.transport is Transport.TLS and self.clients is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsdListener(Listener):
    """A StatsD listener, with DogStatsD's tags, distributions, events and service checks.

    Attributes:
        flush_s: What came within this time becomes one sample a series.
        forget_s: A series that nobody sends for so long is forgotten; until then counters say 0, gauges their last.
        max_series: Names and tags remembered; more are rejected (`cardinality`).
        service: Whose metrics they are when no tag says it.

    Raises:
        ConfigError: As `Listener`; TLS, which StatsD does not know; a time that is not positive.
    """

    port: int = 8125
    flush_s: float = 10.0
    forget_s: float = 300.0
    max_series: int = 100_000
    service: str = "statsd"

    def __post_init__(self) -> None:
        Listener.__post_init__(self)
        if self.transport is Transport.TLS:
            raise ConfigError("StatsD knows no TLS; use udp or tcp", setting="transport")
        for name in ("flush_s", "forget_s", "max_series"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"statsd {name} is {getattr(self, name)}; it must be above 0", setting=name)
