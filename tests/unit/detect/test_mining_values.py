"""Odd values: what is told, what is not, lines of every kind, bounds, restarts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, line, logs, ns
from twofold.aiops.detect.mining.miner import Miner
from twofold.aiops.detect.mining.stage import Mining, MiningConfig
from twofold.aiops.detect.mining.values import Odd, Values, ValuesConfig
from twofold.errors import ConfigError, Corrupt
from twofold.records.event import Event, EventKind
from twofold.records.example import LogExample
from twofold.records.frame import Lane

RNG = np.random.default_rng(7)
INFO, DEBUG = 9, 5


class Reader:
    """A miner and what it tells of values."""

    def __init__(self, config: ValuesConfig | None = None) -> None:
        self.miner, self.values = Miner(), Values(config)

    def feed(self, texts: Iterable[str], severity: int = INFO) -> list[Odd]:
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(each) for each in encoded], out=offsets[1:])
        data = np.frombuffer(b"".join(encoded), np.uint8)
        ids = self.miner.feed(data, offsets)
        return self.values.feed(data, offsets, ids, np.full(len(ids), severity, np.int8))


def usual(lines: int, form: str = "request {id} took {ms} ms, status={code}, wrote {size} B") -> list[str]:
    """Always the same lines; ids of every length."""
    rng = np.random.default_rng(7)
    return [
        form.format(
            id=int(10 ** rng.uniform(0, 9)),
            ms=int(rng.lognormal(3, 0.5)) + 1,
            code=rng.choice([200, 200, 200, 404]),
            size=int(rng.lognormal(8, 1)),
        )
        for _ in range(lines)
    ]


@pytest.fixture
def warm() -> Reader:
    reader = Reader(ValuesConfig(per_100k=1000))
    assert reader.feed(usual(20_000)) == []
    return reader


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("request 5 took 8123 ms, status=200, wrote 900 B", "8123 ms"),
        ("request 5 took 9 s, status=200, wrote 900 B", None),
        ("request 5 took 20 ms, status=503, wrote 900 B", "503"),
        ("request 5 took 20 ms, status=200, wrote 30 GB", "30 GB"),
        ("request 5 took -20 ms, status=200, wrote 900 B", "-20 ms"),
        ("request 99999999999999 took 20 ms, status=200, wrote 900 B", "99999999999999"),
        ("request 5 took 31 ms, status=404, wrote 12000 B", None),
    ],
)
def test_what_its_place_never_held_is_odd_in_whatever_unit(warm: Reader, text: str, value: str | None) -> None:
    """What is as odd as what was just told (8 s) needs to be odder still."""
    if "9 s" in text:
        warm.feed(["request 5 took 8123 ms, status=200, wrote 900 B"])
    assert [odd.text for odd in warm.feed([text])] == ([value] if value else [])


def test_what_was_usual_is_told_along() -> None:
    reader = Reader()
    reader.feed([f"took {ms} ms" for _ in range(100) for ms in range(10, 40)])
    (odd,) = reader.feed(["took 2 s"])
    assert odd.usual == "10 ms to 39 ms in 3000 lines"
    reader.feed([f"state={word}" for _ in range(1000) for word in ("up", "slow")])
    assert [each.usual for each in reader.feed(["state=down"])] == ["one of 2 other values in 2000 lines"]


def test_the_same_oddity_is_told_once() -> None:
    reader = Reader()
    reader.feed(usual(3000))
    assert len(reader.feed(["request 5 took 8123 ms, status=503, wrote 900 B"] * 50)) == 2


@pytest.mark.parametrize(
    "lines",
    [
        [f"session {n} opened at {1_700_000_000 + n}" for n in range(20_000)],
        [f"pid {RNG.integers(1, 65536)} of user {RNG.integers(1000)} began" for _ in range(20_000)],
        [
            f"sent {int(RNG.pareto(0.8) * 100) + 1} bytes to 10.0.0.{n % 250}:{RNG.integers(1024, 65536)}"
            for n in range(20_000)
        ],
        [f"block blk_{RNG.integers(10**18)} has {RNG.integers(1, 4)} copies" for _ in range(20_000)],
        [f"offset {n * 137 % 100_000} lag {RNG.poisson(3)}" for n in range(20_000)],
        [f"took {RNG.exponential(20):.3f} ms" for _ in range(20_000)],
    ],
    ids=["counters", "ids", "heavy-tails", "blocks", "offsets", "exponential"],
)
def test_ids_counters_and_heavy_tails_are_no_oddities(lines: list[str]) -> None:
    """At most one of 20,000 lines: what is promised is five of 100,000."""
    assert len(Reader(ValuesConfig(per_100k=1e6)).feed(lines)) <= 1


def test_lines_of_real_systems_without_incident_have_no_odd_values() -> None:
    reader = Reader(ValuesConfig(per_100k=1e6))
    assert reader.feed(usual(30_000)) == []


def test_what_is_for_debugging_is_left_out() -> None:
    reader = Reader()
    reader.feed(usual(3000), DEBUG)
    assert len(reader.values) == 0


def test_no_more_are_told_than_promised() -> None:
    reader = Reader(ValuesConfig(per_100k=2))
    reader.feed([f"op{n} took {ms} ms" for _ in range(60) for n in range(20) for ms in range(10, 20)])
    told = reader.feed([f"op{n} took 900 s" for n in range(20)])
    assert len(told) <= 4
    assert len(told) + reader.values.untold == 1


@pytest.mark.parametrize(
    "form",
    [
        '{{"msg": "done", "ms": {ms}, "status": {code}, "bytes": {size}}}',
        "level=info msg=done ms={ms} status={code} bytes={size}",
        "\x1b[32mINFO\x1b[0m done in {ms} ms with {code} and {size} B",
        "2026-01-01 12:00:00,123 [main] INFO shop.Cart - done in {ms}ms with {code} ({size} B)",
        "fertig nach {ms} ms: Grüße {code}, {size} B",
        "done in {ms} ms with {code}, {size} B\n\tat shop.Cart.add(Cart.java:42)\n\tat shop.Main.run(Main.java:7)",
    ],
    ids=["json", "logfmt", "ansi", "header", "umlauts", "many-lines"],
)
def test_every_kind_of_line_is_read(form: str) -> None:
    reader = Reader()
    assert reader.feed(usual(3000, form)) == []
    odd = form.format(id=1, ms=98_765, code=200, size=900)
    assert [each.text.removesuffix("ms").strip() for each in reader.feed([odd])] == ["98765"]


def test_long_and_binary_lines_do_no_harm() -> None:
    reader = Reader()
    rubbish = [RNG.bytes(3000).decode("latin-1") for _ in range(50)]
    assert reader.feed([*rubbish, "x" * 1_000_000, "7 " * 500_000, "", " ", "\x00" * 99]) == []
    reader.feed(usual(3000))
    assert reader.feed(["request 5 took 8123 ms, status=200, wrote 900 B"])


def test_variables_beyond_the_bound_push_out_those_not_seen_for_longest() -> None:
    reader = Reader(ValuesConfig(slots=256))
    reader.feed(usual(2000))
    for n in range(40):
        reader.feed(
            [f"{'w' * (n % 7 + 1)} part{chr(97 + n % 26)}{n // 26} a={n} b={n} c={n} d={n} e{n}={n}" for _ in range(3)]
        )
        reader.feed(usual(60))
    assert len(reader.values) <= 192
    assert [odd.text for odd in reader.feed(["request 500000000 took 8123 ms, status=200, wrote 900 B"])] == ["8123 ms"]


def test_how_lines_are_cut_and_a_restart_change_nothing() -> None:
    texts = [*usual(3000), "request 5 took 8123 ms, status=503, wrote 900 B", *usual(100)]
    whole, cut = Reader(), Reader()
    told = whole.feed(texts)
    found = []
    for first in range(0, len(texts), 77):
        again = Values()
        again.restore(cut.values.snapshot())
        cut.values = again
        found += [each.text for each in cut.feed(texts[first : first + 77])]
    assert found == [each.text for each in told] == ["8123 ms", "503"]


def test_settings_and_states_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        ValuesConfig(margin=0)
    with pytest.raises(ConfigError):
        ValuesConfig(slots=1000)
    state = Reader().values.snapshot()
    with pytest.raises(Corrupt):
        Values().restore({**state, "values": np.array([7, 0, 0, 0])})
    with pytest.raises(Corrupt):
        Values().restore({"values": np.zeros(4, np.int64)})


def seconds(*odd: str) -> list[dict[str, object]]:
    rows = [line("service:cart", text, at_s=n / 100, severity=INFO) for n, text in enumerate(usual(6000))]
    return [*rows, *(line("service:cart", text, at_s=61, severity=INFO, trace="a" * 32) for text in odd)]


def test_an_odd_value_is_an_event_and_its_line_evidence() -> None:
    stage = Mining(MemoryCatalog(), MiningConfig(warm_lines=100))
    rows = seconds("request 5 took 8123 ms, status=200, wrote 900 B")
    made = stage.process([logs(*rows)])
    (event,) = (each for each in made if isinstance(each, Event) and each.kind is EventKind.ODD_VALUE)
    (example,) = (each for each in made if isinstance(each, LogExample))
    assert event.entity == "service:cart"
    assert event.title.startswith("odd value 8123 ms, usually ")
    assert event.title.endswith("in: request <*> took <*> ms, status=<*>, wrote <*> B")
    assert event.attributes["trace_id"] == example.trace_id == "a" * 32
    assert example.why.startswith("8123 ms, usually ")
    again = Mining(MemoryCatalog(), MiningConfig(warm_lines=100))
    assert event in again.process([logs(*rows)])


def test_history_sent_later_teaches_and_tells_nothing() -> None:
    stage = Mining(MemoryCatalog(), lane=Lane.BACKFILL)
    assert stage.process([logs(*seconds("request 5 took 8123 ms, status=200, wrote 900 B"))]) == []
    live = Mining(MemoryCatalog())
    live.restore(stage.snapshot())
    later = line("service:cart", "request 6 took 999999999 ms, status=200, wrote 900 B", at_s=70, severity=INFO)
    made = live.process([logs(later)])
    assert [each.attributes["value"] for each in made if isinstance(each, Event)] == ["999999999 ms"]
    assert live.advance(ns(200))
