"""StatsD and DogStatsD lines, and what an interval of them adds up to."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.clean.config import Action, CleanConfig, RelabelRule
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.sockets.batches import Arrived
from twofold.aiops.ingest.sockets.config import StatsdListener, SyslogListener, Transport
from twofold.aiops.ingest.sockets.inlets import StatsdInlet
from twofold.aiops.ingest.sockets.statsd import Metric, Note, named, parse
from twofold.errors import ConfigError, DecodeError, StorageFull
from twofold.records.event import EventKind
from twofold.records.frame import FrameKind


class Statsd:
    """An inlet over a bench: lines in, samples out at `flush`."""

    def __init__(self, bench: Bench, **config: object) -> None:
        intake = Intake(bench.journal, bench.catalog, bench.counts, bench.config, lambda: bench.now_ns)
        self.inlet = StatsdInlet(StatsdListener(**config), intake)  # type: ignore[arg-type]  # settings by name
        self._bench = bench

    def send(self, *lines: bytes) -> None:
        self.inlet._store([Arrived("127.0.0.1", NOW_NS, lines)])

    def flush(self) -> dict[str, float]:
        """Values of this interval by metric and labels."""
        before = len(self._bench.journal.frames)
        self.inlet.flush()
        series = {row["sid"]: row for row in self._bench.rows(FrameKind.SERIES)}
        frames = self._bench.journal.frames
        self._bench.journal.frames = frames[before:]
        rows = self._bench.rows(FrameKind.SAMPLES)
        self._bench.journal.frames = frames
        return {
            ",".join(
                [series[row["sid"]]["metric"], *(f"{k}={v}" for k, v in series[row["sid"]]["labels"].items())]
            ): row["value"]
            for row in rows
        }


@pytest.fixture
def statsd(bench: Bench) -> Statsd:
    return Statsd(bench)


def test_counters_are_scaled_by_their_sample_rate_and_start_again_each_interval(statsd: Statsd) -> None:
    statsd.send(b"hits:1|c", b"hits:2|c|@0.5", b"hits:1|c|#env:prod,canary")
    assert statsd.flush() == {"hits": 5.0, "hits,canary=true,env=prod": 1.0}
    assert statsd.flush() == {"hits": 0.0, "hits,canary=true,env=prod": 0.0}, "an idle counter says 0"


def test_a_gauge_keeps_its_value_and_takes_steps(statsd: Statsd) -> None:
    statsd.send(b"load:10|g", b"load:+5|g", b"load:-3|g")
    assert statsd.flush() == {"load": 12.0}
    assert statsd.flush() == {"load": 12.0}


def test_timers_give_count_sum_and_quantiles(statsd: Statsd) -> None:
    statsd.send(*(b"took:%d|ms" % number for number in range(1, 101)))
    assert statsd.flush() == {"took.count": 100, "took.sum": 5050, "took.p50": 50, "took.p95": 95, "took.p99": 99}
    statsd.send(b"took:4:6|ms|@0.5")
    assert statsd.flush() == {"took.count": 4, "took.sum": 20, "took.p50": 4, "took.p95": 6, "took.p99": 6}
    assert statsd.flush() == {"took.count": 0, "took.sum": 0}


def test_a_timer_of_many_values_keeps_a_fair_sample(statsd: Statsd) -> None:
    statsd.send(*(b"took:%d|h" % number for number in range(50_000)))
    found = statsd.flush()
    assert found["took.count"] == 50_000
    assert found["took.sum"] == sum(range(50_000))
    assert math.isclose(found["took.p50"], 25_000, rel_tol=0.05)


def test_a_set_counts_different_members(statsd: Statsd) -> None:
    statsd.send(b"users:anna|s", b"users:bert|s", b"users:anna|s")
    assert statsd.flush() == {"users": 2.0}
    assert statsd.flush() == {}


def test_one_datagram_holds_many_lines(statsd: Statsd) -> None:
    statsd.send(b"a:1|c\nb:2|g\r\n\n")
    assert statsd.flush() == {"a": 1.0, "b": 2.0}


def test_bad_lines_are_counted_by_reason_and_lines_are_conserved(bench: Bench, statsd: Statsd) -> None:
    statsd.send(b"a:1|c", b"a:x|c", b"a:nan|g", b"a:1|c|@0", b"a:1|q", b"", b"nothing", b"_e{9,9}:short|x", b"a:1_0|c")
    statsd.flush()
    points = bench.counts.total(Item.POINTS)
    assert (points.received, points.stored) == (8, 1)
    assert points.rejected == {"bad_value": 3, "bad_rate": 1, "bad_line": 3}


def test_a_series_too_many_is_rejected_here_and_in_the_catalog(bench: Bench) -> None:
    statsd = Statsd(bench, max_series=2)
    bench.catalog.limit = 1
    statsd.send(b"a:1|c", b"b:1|c", b"b:2|c", b"c:1|c")
    assert statsd.flush() == {"a": 1.0}
    points = bench.counts.total(Item.POINTS)
    assert (points.received, points.stored, points.rejected) == (4, 1, {"cardinality": 3})


def test_a_rule_drops_one_row_of_a_timer_or_a_whole_series_and_says_so() -> None:
    rule = RelabelRule(source_labels=("__name__",), regex=r"took\.p99|gone", action=Action.DROP, name="noise")
    bench = Bench(config=IngestConfig(walker=False, clean=CleanConfig(relabel=(rule,))))
    statsd = Statsd(bench)
    statsd.send(b"took:5|ms", b"gone:1|c", b"gone:1|c")
    assert sorted(statsd.flush()) == ["took.count", "took.p50", "took.p95", "took.sum"]
    points = bench.counts.total(Item.POINTS)
    assert (points.received, points.stored, points.dropped) == (3, 1, {"relabel_noise": 2})


def test_a_series_that_nobody_sends_is_forgotten(bench: Bench) -> None:
    statsd = Statsd(bench, flush_s=1, forget_s=2)
    statsd.send(b"a:1|c")
    assert [len(statsd.flush()) for _ in range(4)] == [1, 1, 1, 0]


def test_an_interval_that_finds_a_full_disk_is_counted(bench: Bench, statsd: Statsd) -> None:
    statsd.send(b"a:1|c", b"a:1|c")
    bench.journal.error = StorageFull("full")
    statsd.inlet.flush()
    assert bench.counts.total(Item.POINTS).rejected == {"storage_full": 2}


def test_a_sum_past_all_numbers_costs_its_series_only(bench: Bench, statsd: Statsd) -> None:
    statsd.send(b"a:1e308|c", b"a:1e308|c", b"b:1|c")
    assert statsd.flush() == {"b": 1.0}
    assert bench.counts.total(Item.POINTS).rejected == {"not_finite": 2}


def test_the_entity_is_the_service_tag_else_the_host_else_the_listeners_own(bench: Bench) -> None:
    statsd = Statsd(bench, service="legacy")
    statsd.send(b"a:1|c|#service:cart,host:h1", b"a:1|c|#host:h1", b"a:1|c")
    statsd.flush()
    assert [row["entity"] for row in bench.rows(FrameKind.SERIES)] == ["service:cart", "host:h1", "service:legacy"]


def test_events_become_changes_or_alerts_and_service_checks_gauges(bench: Bench, statsd: Statsd) -> None:
    statsd.send(
        b"_e{6,8}:deploy|to 1.4.2|d:1789999000|#service:cart,change:deploy,version:1.4.2",
        b"_e{4,5}:slow|a\\nbc|t:error|h:web1",
        b"_sc|cart.up|2|h:web1|#env:prod|m:gone",
    )
    change, alert = bench.rows(FrameKind.EVENTS)
    assert (change["kind"], change["change"], change["version"]) == (EventKind.CHANGE, "deploy", "1.4.2")
    assert (change["entity"], change["title"]) == ("service:cart", "deploy")
    assert change["time"].startswith("2026-09-21T")
    assert (alert["kind"], alert["state"], alert["entity"]) == (EventKind.EXTERNAL_ALERT, "firing", "host:web1")
    assert alert["attributes"]["text"] == "a\nbc"
    assert statsd.flush() == {"cart.up,env=prod,host=web1": 2.0}


def test_tags_stand_in_the_name_too() -> None:
    assert named(b"a;env=prod", b"") == ("a", (("env", "prod"),))
    assert named(b"a,env=prod", b"x") == ("a", (("env", "prod"), ("x", "true")))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda each: b"_e{1,2}:" + each))
def test_any_bytes_are_a_metric_a_note_or_refused(line: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(parse(line), Metric | Note)


def test_a_listener_that_anyone_could_reach_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="would hear everyone"):
        SyslogListener(host="0.0.0.0")  # noqa: S104 - what must not be allowed
    assert SyslogListener(host="0.0.0.0", allow=("10.0.0.0/8",)).networks()  # noqa: S104 - named networks only
    with pytest.raises(ConfigError, match="certificate"):
        SyslogListener(transport=Transport.TLS)
    with pytest.raises(ConfigError, match="zone"):
        SyslogListener(zone="Moon/Dark")
    with pytest.raises(ConfigError, match="TLS"):
        StatsdListener(transport=Transport.TLS)
    with pytest.raises(ConfigError, match="flush_s"):
        StatsdListener(flush_s=0)
