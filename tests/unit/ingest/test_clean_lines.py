"""Lines and spans that rules drop are counted, and what must not be kept never reaches the journal."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.unit.ingest.messages import logs_request, span, traces_request
from tests.unit.ingest.null import Bench
from twofold.aiops.ingest.clean.config import CleanConfig, DropRule, Scrub, ScrubConfig, ScrubRule, Signal
from twofold.aiops.ingest.clean.lines import LineCleaner
from twofold.aiops.ingest.clean.scrub import Scrubber
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item, Outcome
from twofold.errors import ConfigError
from twofold.records.columns import LOGS
from twofold.records.frame import FrameKind

ALL = tuple(Scrub)
PROTOBUF = {"content-type": "application/x-protobuf"}


def bench_of(**clean: Any) -> Bench:
    return Bench(config=IngestConfig(walker=False, clean=CleanConfig(**clean)))


def send(bench: Bench, request: Any) -> Any:
    path = "/v1/logs" if isinstance(request, ExportLogsServiceRequest) else "/v1/traces"
    answer = bench.client.post(path, content=request.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 200
    assert not bench.counts.imbalance()
    return answer


def lines(*rows: tuple[str, int, str, dict[str, Any]]) -> pa.RecordBatch:
    """Log lines of (entity, severity, body, attributes)."""
    entity, severity, body, attributes = zip(*rows, strict=True)
    columns = [
        pa.array([1] * len(rows), pa.int64()),
        pa.array(entity).dictionary_encode(),
        pa.array(severity, pa.int8()),
        pa.array(body),
        pa.array([""] * len(rows)),
        pa.array([""] * len(rows)),
        pa.array([json.dumps(each, separators=(",", ":")) for each in attributes]),
    ]
    return pa.record_batch(columns, schema=LOGS)


FOUR = lines(
    ("service:a", 5, "debug one", {}),
    ("service:b", 9, "GET /healthz", {"http.route": "/healthz", "code": 200}),
    ("service:b", 17, "GET /healthz failed", {"http.route": "/healthz", "code": 500}),
    ("pod:a-1", 0, "no level", {"http.route": "/x"}),
)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (DropRule(name="r", below=9), [1, 2, 3]),
        (DropRule(name="r", entity="service:.*"), [3]),
        (DropRule(name="r", entity="service:b", below=17), [0, 2, 3]),
        (DropRule(name="r", match="healthz$"), [0, 2, 3]),
        (DropRule(name="r", attributes={"http.route": "/health.*"}), [0, 3]),
        (DropRule(name="r", attributes={"http.route": "/healthz", "code": "2.."}), [0, 2, 3]),
        (DropRule(name="r", attributes={"http.route": "/health"}), [0, 1, 2, 3]),
        (DropRule(name="r", signal=Signal.SPANS, match="healthz"), [0, 1, 2, 3]),
    ],
)
def test_all_conditions_of_a_rule_must_hold(rule: DropRule, kept: list[int]) -> None:
    cleaner = LineCleaner(CleanConfig(drop=(rule,)), lambda _: None)
    batch, outcome = cleaner.clean(FrameKind.LOGS, FOUR, Outcome(Item.LOGS, 4, 4, rows=4))
    assert batch.column("body").to_pylist() == [FOUR.column("body")[row].as_py() for row in kept]
    assert outcome.received == outcome.stored + outcome.dropped.total()
    assert outcome.rows == batch.num_rows
    assert outcome.dropped == ({"drop_r": 4 - len(kept)} if len(kept) < 4 else {})


def test_of_two_rules_the_first_counts() -> None:
    rules = (DropRule(name="all", entity="service:.*"), DropRule(name="debug", below=9))
    cleaner = LineCleaner(CleanConfig(drop=rules), lambda _: None)
    _, outcome = cleaner.clean(FrameKind.LOGS, FOUR, Outcome(Item.LOGS, 4, 4, rows=4))
    assert outcome.dropped == {"drop_all": 3}


def test_dropped_lines_and_spans_are_counted_and_no_fault_of_the_sender() -> None:
    bench = bench_of(
        drop=(
            DropRule(name="noise", match="noise"),
            DropRule(name="probes", signal=Signal.SPANS, match="^GET /healthz$"),
        )
    )
    answer = send(bench, logs_request("noise", "signal"))
    assert answer.content == b"", "no partial success"
    send(bench, traces_request(span("GET /healthz"), span("GET /cart")))
    assert [row["body"] for row in bench.rows(FrameKind.LOGS)] == ["signal"]
    assert [row["name"] for row in bench.rows(FrameKind.SPANS)] == ["GET /cart"]
    assert bench.counts.total(Item.LOGS).dropped == {"drop_noise": 1}
    assert bench.counts.total(Item.SPANS).dropped == {"drop_probes": 1}


def scrubbed(text: str, *kinds: Scrub) -> str:
    found: str = Scrubber(ScrubConfig(kinds=kinds or ALL)).texts(pa.array([text]), Counter())[0].as_py()
    return found


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail bob.o+x@mail.example.co.uk now", "mail [email] now"),
        ("from 10.0.0.7:443 and 192.168.1.255", "from [ipv4]:443 and [ipv4]"),
        ("300.1.1.1 is none", "300.1.1.1 is none"),
        ("from 2001:db8::8a2e:370:7334 port 1", "from [ipv6] port 1"),
        ("at 12:34:56 std::cafe Foo::Bad ::1", "at 12:34:56 std::cafe Foo::Bad [ipv6]"),
        ("card 4111 1111 1111 1111 ok", "card [card] ok"),
        ("card 5500-0000-0000-0004.", "card [card]."),
        ("not 4111111111111112", "not 4111111111111112"),
        ("time 1790000000000000000", "time 1790000000000000000"),
        ("Authorization: Bearer abcdef123456==", "Authorization: Bearer [token]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "jwt [token]"),
        ("password=hunter22 user=bob", "password=[token] user=bob"),
        ("db_password: hunter22, next", "db_password: [token], next"),
        ('{"api_key":"s3cr\\"et","a":1}', '{"api_key":"[token]","a":1}'),
        ("key AKIAIOSFODNN7EXAMPLE", "key [token]"),
        ("token expired", "token expired"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_is_found_is_replaced_by_its_kind(text: str, clean: str) -> None:
    assert scrubbed(text) == clean


def test_nothing_that_was_scrubbed_reaches_the_journal_and_rules_are_counted() -> None:
    bench = bench_of(
        scrub=ScrubConfig(
            kinds=(Scrub.EMAIL, Scrub.CARD),
            rules=(ScrubRule(name="order", regex="order-[0-9]+"),),
            attributes=("http.request.header.cookie",),
        )
    )
    send(bench, logs_request("bob@example.com bought order-77 with 4111111111111111", "quiet"))
    attributes: dict[str, Any] = {
        "user__email": "bob@example.com",
        "http__request__header__cookie": "id=5",
        "order": "order-9",
    }
    send(bench, traces_request(span("GET /users/bob@example.com", **attributes, card=4111111111111111, kept=7)))
    first, second = bench.rows(FrameKind.LOGS)
    assert first["body"] == "[email] bought [order] with [card]"
    assert second["body"] == "quiet"
    (found,) = bench.rows(FrameKind.SPANS)
    assert found["name"] == "GET /users/[email]"
    kept = json.loads(found["attributes"])
    assert kept["user.email"] == "[email]"
    assert kept["http.request.header.cookie"] == "[gone]"
    assert (kept["order"], kept["card"], kept["kept"]) == ("[order]", "[card]", 7)
    payloads = b"".join(frame.payload for frame in bench.journal.frames)
    assert b"bob@" not in payloads
    assert b"4111111111111111" not in payloads
    assert bench.counts.registry.get_sample_value("twofold_ingest_scrubbed_total", {"rule": "email"}) == 3


SECRETS = st.sampled_from(
    ["bob@example.com", "10.0.0.1", "4111111111111111", "password=hunter22", 'x"y\\z', "fe80::1", "plain", ""]
)
VALUES = st.recursive(
    SECRETS | st.text(max_size=6) | st.integers(-5, 5) | st.just(4111111111111111) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | SECRETS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["a", "token", "user.email", "cookie"]), VALUES, max_size=4))
def test_scrubbed_attributes_stay_json_and_hold_nothing_of_what_was_found(attributes: dict[str, Any]) -> None:
    config = ScrubConfig(kinds=ALL, rules=(ScrubRule(name="quote", regex='["{}:,]'),), attributes=("cookie",))
    text = json.dumps(attributes, separators=(",", ":"), ensure_ascii=False)
    try:
        column = pa.array([text])
    except UnicodeEncodeError:
        return  # lone surrogates never pass the decoders
    (found,) = Scrubber(config).objects(column, Counter()).to_pylist()
    back = json.loads(found)
    assert back.keys() == attributes.keys()
    assert "cookie" not in back or back["cookie"] == "[gone]"
    values = json.dumps(list(back.values()))
    assert "10.0.0.1" not in values
    assert "hunter22" not in values


def test_an_expression_that_re2_does_not_take_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="RE2 does not take"):
        Scrubber(ScrubConfig(rules=(ScrubRule(name="ahead", regex="a(?=b)"),)))
    with pytest.raises(ConfigError, match="would drop everything"):
        DropRule(name="all")


def test_without_rules_a_batch_is_passed_on_as_it_is() -> None:
    cleaner = LineCleaner(CleanConfig(), lambda _: None)
    outcome = Outcome(Item.LOGS, 4, 4, rows=4)
    assert cleaner.clean(FrameKind.LOGS, FOUR, outcome) == (FOUR, outcome)
