"""Prometheus text is read as Prometheus reads it, and a scrape says whether its target was up."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import prometheus_client as prom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.config import IngestConfig, ScrapeTarget
from twofold.aiops.ingest.prometheus.exposition import Pointer, parse
from twofold.errors import ConfigError, DecodeError
from twofold.records.frame import FrameKind


def registry() -> prom.CollectorRegistry:
    made = prom.CollectorRegistry()
    counter = prom.Counter("hits", 'with "quotes" and \\ and \n', ["path"], registry=made)
    counter.labels('a"b\\c\nd').inc(3)
    prom.Gauge("temp", "t", registry=made).set(-1.5)
    prom.Histogram("lat_seconds", "l", buckets=(0.1, 1), registry=made).observe(0.5)
    return made


def test_both_formats_give_what_the_reference_parser_gives() -> None:
    text = prom.generate_latest(registry())
    expected = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    for body in (text, open_metrics(registry())):  # type: ignore[no-untyped-call]  # the library's own
        found = parse(body)
        values = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found.samples}
        created = {key for key in values if key[0].endswith("_created")}
        assert {key: value for key, value in values.items() if key not in created} == {
            key: value for key, value in expected.items() if key not in created
        }
    assert parse(text).types["lat_seconds"] == "histogram"


def test_times_are_milliseconds_in_the_old_format_and_seconds_in_open_metrics() -> None:
    assert parse(b"a 1 1500\n").samples[0].time_ns == 1_500_000_000
    assert parse(b'a 1 1.5 # {trace_id="x"} 1\n# EOF\n').samples[0].time_ns == 1_500_000_000


@pytest.mark.parametrize(
    ("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e3", 1000.0), ("0x1p3", None), ("1_0", None)]
)
def test_values(text: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(DecodeError):
            parse(f"a {text}\n".encode())
    else:
        assert parse(f"a {text}\n".encode()).samples[0].value == value


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a{",
        'a{b="c} 1',
        'a{b="1",b="2"} 1',
        "1a 2",
        "a 1 2 3",
        "a{b=c} 1",
        "\xff",
        "a 1 9e99",
        "a 1 1e400",
        "up1",
        "a 1 # comment",
        '{"a",b="c"',
        '{b="c","a"} 1',
        'a{"b"} 1',
        '{"a","b"} 1',
        '{"a",b="c",b="d"} 1',
        '{b="c"} 1',
    ],
)
def test_a_bad_line_spoils_the_scrape(line: str) -> None:
    with pytest.raises(DecodeError):
        parse(b"good 1\n" + line.encode("latin-1") + b"\n")


def test_names_in_quotes_may_be_any_text() -> None:
    text = b"""# TYPE "http.server\\"s" counter
{"http.server\\"s","my.label"="x,}",plain="y"} 1
{"alone"} 2
"""
    found = parse(text)
    assert [(each.name, dict(each.labels)) for each in found.samples] == [
        ('http.server"s', {"my.label": "x,}", "plain": "y"}),
        ("alone", {}),
    ]
    assert found.types == {'http.server"s': "counter"}


def test_an_exemplar_is_read_where_the_format_has_them() -> None:
    (sample,) = parse(b'a_bucket{le="1"} 5 # {trace_id="ab"} 0.5 1.25\n# EOF\n').samples
    assert sample.exemplar == Pointer({"trace_id": "ab"}, 0.5, 1_250_000_000)
    (sample,) = parse(b"a 5 7 # {} 0.5\n# EOF\n").samples
    assert sample.exemplar == Pointer({}, 0.5, None)
    for broken in (b"a 5 # 1\n# EOF\n", b'a 5 # {"x"} 1\n# EOF\n', b"a 5 # {a} 1\n# EOF\n", b"a 5 # {} x\n# EOF\n"):
        with pytest.raises(DecodeError):
            parse(broken)


def test_open_metrics_cut_short_is_refused() -> None:
    media = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert parse(b"a 1\n# EOF\n", media).samples
    with pytest.raises(DecodeError, match="cut short"):
        parse(b"a 1\nb 2\n", media)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_decode_error(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        parse(body)


@given(st.text('ab{}="\\,# \n1.e', max_size=60))
def test_any_text_parses_or_raises_decode_error(text: str) -> None:
    with contextlib.suppress(DecodeError):
        parse(text.encode())


class Target(BaseHTTPRequestHandler):
    """Answers with `body`, or 500."""

    body: ClassVar[bytes | None] = b'# TYPE q gauge\nq{job="own",x="1"} 7\n'
    accept: ClassVar[list[str]] = []
    received: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        self.accept.append(self.headers["accept"])
        self.received.update({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200 if self.body is not None else 500)
        self.end_headers()
        self.wfile.write(self.body or b"")

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/metrics"
    made.shutdown()
    made.server_close()
    thread.join()


def scraped(url: str, **more: Any) -> Bench:
    target = ScrapeTarget(job="shop", url=url, interval_s=30, timeout_s=2, **more)
    bench = Bench(config=IngestConfig(scrape=(target,), walker=False))

    async def once() -> None:
        await bench.ingest.start()
        for _ in range(200):
            await asyncio.sleep(0.02)
            if bench.journal.frames:
                break
        await bench.ingest.stop()

    asyncio.run(once())
    assert not bench.counts.imbalance()
    return bench


def test_a_scrape_stores_samples_with_job_instance_and_up(server: str) -> None:
    found = {
        (name, dict(labels).get("exported_job")): points[0][1]
        for (name, labels), points in scraped(server).samples().items()
    }
    assert found["q", "own"] == 7.0
    assert found["up", None] == 1.0
    assert 0 < found["scrape_duration_seconds", None] < 2
    assert "openmetrics-text" in Target.accept[-1]
    assert "version=0.0.4" in Target.accept[-1]
    assert found["scrape_samples_scraped", None] == 1.0
    assert Target.received["x-prometheus-scrape-timeout-seconds"] == "2"


def test_a_target_may_need_credentials_and_may_speak_for_others(server: str) -> None:
    bench = scraped(server, headers={"authorization": "Bearer x"}, honor_labels=True)
    assert Target.received["authorization"] == "Bearer x"
    series = next(each for each in bench.rows(FrameKind.SERIES) if each["metric"] == "q")
    assert (series["labels"]["job"], series["entity"]) == ("own", "service:own")


def test_exemplars_of_a_scrape_are_kept_as_evidence(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f'took_seconds_bucket{{le="1"}} 5 # {{trace_id="{"ab" * 16}"}} 0.5 {NOW_NS / 1e9}\n# EOF\n'
    monkeypatch.setattr(Target, "body", line.encode())
    (found,) = scraped(server).rows(FrameKind.EXEMPLARS)
    assert (found["trace_id"], found["entity"], found["duration_ns"]) == ("ab" * 16, "service:shop", 500_000_000)


def test_entity_and_labels_come_from_the_target(server: str) -> None:
    bench = scraped(server)
    series = next(each for each in bench.rows(FrameKind.SERIES) if each["metric"] == "q")
    assert series["entity"] == "service:shop"
    assert series["labels"]["instance"] == server.removeprefix("http://").removesuffix("/metrics")


@pytest.mark.parametrize("body", [None, b"not metrics at all\n"])
def test_a_target_that_fails_is_down(server: str, body: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "body", body)
    found = {name: points[0][1] for (name, _), points in scraped(server).samples().items()}
    assert found["up"] == 0.0
    assert set(found) == {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"}
    assert found["scrape_samples_scraped"] == 0.0


def test_a_target_that_nobody_serves_is_down() -> None:
    found = {name: points[0][1] for (name, _), points in scraped("http://127.0.0.1:9/metrics").samples().items()}
    assert found["up"] == 0.0


def test_a_wrong_address_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="ftp"):
        ScrapeTarget(job="x", url="ftp://x/y")
    target = ScrapeTarget(job="x", url="http://x/y")
    with pytest.raises(ConfigError, match="twice"):
        IngestConfig(scrape=(target, target))


def test_series_that_a_target_no_longer_has_are_marked_as_ended(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them when it is down; but not those with a time of their own, and never what is told of the scrape."""
    bodies = iter([b"a 1\nb 2\nc 3 %d\n" % (NOW_NS // 10**6), b"a 1\nd 4\n", None, None])

    async def follow() -> Bench:
        monkeypatch.setattr(Target, "body", next(bodies))
        target = ScrapeTarget(job="shop", url=server, interval_s=0.2, timeout_s=2)
        bench = Bench(config=IngestConfig(scrape=(target,), walker=False))
        await bench.ingest.start()
        for body in bodies:
            seen = len(bench.journal.frames)
            for _ in range(1000):
                await asyncio.sleep(0.01)
                if len(bench.journal.frames) > seen:
                    break
            monkeypatch.setattr(Target, "body", body)
        await bench.ingest.stop()
        return bench

    bench = asyncio.run(asyncio.wait_for(follow(), 20))
    found = {
        name: ["end" if math.isnan(value) else value for _, value in points]
        for (name, _), points in bench.samples().items()
    }
    assert {name: found[name] for name in "abcd"} == {
        "a": [1.0, 1.0, "end"],
        "b": [2.0, "end"],
        "c": [3.0],
        "d": [4.0, "end"],
    }
    assert found["up"][:3] == [1.0, 1.0, 0.0]
    assert found["scrape_series_added"][:3] == [3.0, 1.0, 0.0]
    assert not bench.counts.imbalance()
