"""Syslog of both standards, and the framing of streams (RFC 5424, RFC 3164, RFC 6587)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.sockets.framing import Framer
from twofold.aiops.ingest.sockets.syslog import SyslogParser
from twofold.records.time import to_ns

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_NS = to_ns(NOW)
LATEST_NS = NOW_NS + 600 * 10**9


def parsed(*messages: bytes, zone: str = "UTC", now_ns: int = NOW_NS) -> list[dict[str, Any]]:
    """Rows that the messages make."""
    lines = Lines()
    SyslogParser(zone).parse(messages, lines, peer="10.9.8.7", now_ns=now_ns, latest_ns=now_ns + 600 * 10**9)
    batch, outcome = lines.batch(now_ns, now_ns + 600 * 10**9)
    assert outcome.received == outcome.stored == len(messages)
    return [row | {"attributes": orjson.loads(row["attributes"])} for row in batch.to_pylist()]


def test_the_examples_of_rfc_5424_read_as_the_standard_says() -> None:
    first, second, third, fourth = parsed(
        b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed on /dev/pts/8",
        b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
        b'<165>1 2003-10-11T22:14:15.003Z h evntslog - I4 [ex@32473 iut="3" eventSource="App\\"li\\]"] \xef\xbb\xbfAn',
        b'<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@1 x="y"][b@1 z="1"]',
    )
    assert first["time_ns"] == to_ns(datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC))
    assert (first["entity"], first["severity"], first["body"]) == ("service:su", 18, "'su root' failed on /dev/pts/8")
    assert first["attributes"] == {
        "host.name": "mymachine.example.com",
        "syslog.facility": "auth",
        "syslog.msgid": "ID47",
    }
    assert second["time_ns"] == to_ns(datetime(2003, 8, 24, 12, 14, 15, 3, tzinfo=UTC))
    assert (second["severity"], second["attributes"]["process.pid"]) == (10, "8710")
    assert third["attributes"]["ex@32473.eventSource"] == 'App"li]'
    assert (third["body"], fourth["body"]) == ("An", "")
    assert fourth["attributes"]["b@1.z"] == "1"


def test_rfc_3164_with_the_liberties_that_senders_take() -> None:
    rows = parsed(
        b"<34>Nov 21 22:14:15 mymachine su: 'su root' failed",
        b"<13>Nov  5 17:32:18 10.0.0.99 Use the BFG!",
        b"<13>Nov 22 05:00:00 root: no host",
        b"<14>2026-11-22T11:00:00.5+01:00 web nginx[12]: with an ISO time",
        b"<6>kernel: [ 1.2] no time",
        b'<14>{"a": 1}',
        b"<189>29: *Nov  1 00:00:00.123: %SYS-5-CONFIG_I: a router",
    )
    told = [(row["entity"], row["attributes"]["host.name"], row["body"]) for row in rows]
    assert told == [
        ("service:su", "mymachine", "'su root' failed"),
        ("host:10.0.0.99", "10.0.0.99", "Use the BFG!"),
        ("service:root", "10.9.8.7", "no host"),
        ("service:nginx", "web", "with an ISO time"),
        ("host:10.9.8.7", "10.9.8.7", "[ 1.2] no time"),
        ("host:10.9.8.7", "10.9.8.7", '{"a": 1}'),
        ("host:10.9.8.7", "10.9.8.7", "%SYS-5-CONFIG_I: a router"),
    ]
    assert rows[0]["time_ns"] == to_ns(datetime(2026, 11, 21, 22, 14, 15, tzinfo=UTC))
    assert rows[3]["time_ns"] == to_ns(datetime(2026, 11, 22, 10, 0, 0, 500_000, tzinfo=UTC))
    assert rows[4]["time_ns"] == NOW_NS
    assert rows[6]["time_ns"] == to_ns(datetime(2026, 11, 1, 0, 0, 0, 123_000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("now", "said", "meant"),
    [
        (datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), b"Dec 31 23:59:59", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), b"Jan  1 00:01:00", datetime(2027, 1, 1, 0, 1, tzinfo=UTC)),
        (datetime(2028, 3, 1, tzinfo=UTC), b"Feb 29 12:00:00", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        (
            datetime(2026, 3, 1, tzinfo=UTC),
            b"Feb 29 12:00:00",
            datetime(2026, 3, 1, tzinfo=UTC),
        ),  # no such day: arrival
    ],
)
def test_a_time_without_a_year_lies_nearest_to_its_arrival(now: datetime, said: bytes, meant: datetime) -> None:
    (row,) = parsed(b"<13>" + said + b" h a: x", now_ns=to_ns(now))
    assert row["time_ns"] == to_ns(meant)


def test_a_time_without_a_zone_is_in_the_listeners_zone() -> None:
    (row,) = parsed(b"<13>Jul 22 05:00:00 h a: x", zone="Europe/Berlin")
    assert row["time_ns"] == to_ns(datetime(2026, 7, 22, 3, tzinfo=UTC))


def test_a_time_in_the_future_is_kept_beside_the_arrival() -> None:
    (row,) = parsed(b"<34>1 2093-10-11T22:14:15.003Z h a - - - x")
    assert (row["time_ns"], row["attributes"]["syslog.time"]) == (NOW_NS, "2093-10-11T22:14:15.003Z")


@pytest.mark.parametrize(
    "message", [b"nonsense", b"<999>x", b"<34>1 2003-10-11T22:14:15.003Z too short", b"", b"\xff\xfe"]
)
def test_what_is_neither_standard_is_kept_whole_and_counted(message: bytes) -> None:
    parser, lines = SyslogParser(), Lines()
    parser.parse([message], lines, peer="10.9.8.7", now_ns=NOW_NS, latest_ns=LATEST_NS)
    (row,) = lines.batch(NOW_NS, LATEST_NS)[0].to_pylist()
    assert (row["entity"], row["body"]) == ("host:10.9.8.7", message.decode(errors="replace"))
    assert parser.malformed == 1


@given(st.lists(st.binary(max_size=80)))
def test_every_message_makes_a_line(messages: list[bytes]) -> None:
    parsed(*(b"<13>" + message for message in messages))


MESSAGES = st.lists(st.binary(min_size=1, max_size=40).map(lambda each: b"<1>" + each.replace(b"\n", b" ")), min_size=1)


@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 50)), octets=st.booleans())
def test_messages_survive_any_split_of_their_stream(messages: list[bytes], cuts: list[int], *, octets: bool) -> None:
    stream = b"".join(b"%d %s" % (len(each), each) if octets else each + b"\n" for each in messages)
    framer = Framer(1_000)
    found: list[bytes] = []
    for cut in [*cuts, len(stream)]:
        found += framer.feed(stream[:cut])
        stream = stream[cut:]
    assert found + framer.close() == messages
    assert framer.cut == 0


@pytest.mark.parametrize("octets", [True, False])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_long_message_is_cut_and_the_next_one_whole(step: int, *, octets: bool) -> None:
    messages = [b"<1>short", b"<1>" + b"x" * 500, b"<1>after"]
    stream = b"".join(b"%d %s" % (len(each), each) if octets else each + b"\n" for each in messages)
    framer = Framer(100)
    found = [each for at in range(0, len(stream), step) for each in framer.feed(stream[at : at + step])]
    assert found + framer.close() == [messages[0], messages[1][:100], messages[2]]
    assert framer.cut == 1


def test_a_stream_that_loses_its_count_goes_on_as_lines() -> None:
    framer = Framer(100)
    assert framer.feed(b"6 <1>abc<1>lost\n<1>next\n") == [b"<1>abc", b"<1>lost", b"<1>next"]


def test_a_line_that_begins_with_a_number_is_no_count() -> None:
    assert Framer(100).feed(b"2026-01-01 x\n12 y\n") == [b"2026-01-01 x", b"12 y"]
