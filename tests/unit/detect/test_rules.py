"""Alert rules in Prometheus's format: read, their recordings made, evaluated over history, what cannot be is told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.promql.memory import Memory
from twofold.aiops.detect.rules import Book, Firing, Replayed, Rule, read_rules, replay
from twofold.aiops.detect.rules.source import MOST_SAMPLES, Recorded
from twofold.aiops.detect.rules.template import Given, fill, problem
from twofold.errors import InputError, TooLarge
from twofold.store.promql import Engine, Limits
from twofold.store.promql.looks import looks
from twofold.store.promql.values import make_labels

MINUTE = 60_000
END = 60 * MINUTE
FILE = """
groups:
  - name: shop
    interval: 30s
    rules:
      - record: job:errors:ratio
        expr: errors / requests
      - alert: ManyErrors
        expr: job:errors:ratio > 0.1
        for: 2m
        labels: {severity: critical, team: "{{ $labels.team }}"}
      - alert: Down
        expr: up == 0
"""


@pytest.fixture
def ups() -> Memory:
    """One series `up`, down in minutes 10 to 20 and in minute 30, and a level that rises."""
    source = Memory()
    down = [*range(10, 20), 30]
    source.load(
        {
            make_labels([("__name__", "up"), ("job", "cart")]): [
                (at * MINUTE, float(at not in down)) for at in range(61)
            ],
            make_labels([("__name__", "level"), ("job", "cart")]): [(at * MINUTE, float(at)) for at in range(-90, 61)],
        }
    )
    return source


def run(source: Memory, *rules: str, interval: str = "1m", extra: str = "", start: int = 0) -> list[Replayed]:
    lines = "".join(f"\n  - {rule}" for rule in rules)
    text = f"groups:\n- name: a\n  interval: {interval}\n{extra}  rules:{lines}"
    return replay(read_rules(text), Engine(), source, start, END)


def minutes(found: Replayed) -> list[tuple[float, float, float]]:
    return [(one.active_ms / MINUTE, one.fired_ms / MINUTE, one.ended_ms / MINUTE) for one in found.firings]


def test_a_file_gives_its_rules_in_order_with_the_lines_they_stand_at() -> None:
    ratio, errors, down = read_rules(FILE).rules
    assert (ratio.name, ratio.records, ratio.line) == ("job:errors:ratio", True, 6)
    assert (errors.name, errors.for_s, errors.interval_s, errors.group) == ("ManyErrors", 120.0, 30.0, "shop")
    assert (down.expr, down.for_s, down.line) == ("up == 0", 0.0, 12)


def test_the_resource_of_kubernetes_is_read_as_the_file_in_it() -> None:
    inner = "".join(f"  {line}\n" for line in FILE.strip().splitlines())
    book = read_rules(f"kind: PrometheusRule\nspec:\n{inner}")
    assert [rule.name for rule in book.alerts()] == ["ManyErrors", "Down"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  \n", "the rule file is empty"),
        ("groups:\n- name: [\n", "no YAML, line 3"),
        ("groups: [a\x00]", "no YAML"),
        ("groups: 3", "list under `groups`"),
        ("groups: []", "no rule in them"),
        ("groups:\n- 3", "line 2: a group is a mapping"),
        ("groups: [{name: a, rules: [{record: r, expr: up}]}]", "recording rules only"),
        ("groups: [{name: a, rules: [{alert: X}]}]", "line 1, X: it needs `expr`"),
        (
            "groups:\n- name: a\n  rules:\n  - {alert: X, expr: up, for: 1hour}",
            "line 4, X: for: '1hour' is no duration",
        ),
        ("groups: [{name: a, rules: [{alert: X, expr: up, fro: 1m}]}]", "fro is no field of an alert"),
        ("groups: [{name: a, rules: [{alert: X, expr: 'sum((('}]}]", "line 1, X: expr: unclosed"),
        ("groups: [{name: a, rules: [{alert: X, expr: up, labels: {a-b: c}}]}]", "'a-b' in labels"),
        ("groups: [{name: a, rules: [{record: a-b, expr: up}]}]", "'a-b' is no name"),
    ],
)
def test_a_file_is_refused_only_when_nothing_in_it_can_be_replayed_and_says_why(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_rules(text)


def test_one_broken_rule_is_told_and_the_others_are_replayed(ups: Memory) -> None:
    broken, needs, fine = run(
        ups,
        "{record: 'r', expr: 'sum((('}",
        "{alert: Needs, expr: 'r{a=\"b\"} > 1'}",
        "{alert: Fine, expr: 'up == 0'}",
    )
    assert broken.refused.startswith("expr: unclosed")
    assert needs.refused == "it needs 'r' (line 5), which cannot be replayed"
    assert (fine.refused, len(fine.firings)) == ("", 2)


def test_it_fires_when_the_expression_has_held_for_long_enough_and_ends_with_it(ups: Memory) -> None:
    (found,) = run(ups, "{alert: Down, expr: up == 0, for: 3m, labels: {severity: critical}}")
    assert found.firings == [
        Firing(
            rule="Down",
            labels={"job": "cart", "severity": "critical"},
            active_ms=10 * MINUTE,
            fired_ms=13 * MINUTE,
            ended_ms=20 * MINUTE,
        )
    ]


def test_without_a_wait_every_stretch_fires_and_keeping_on_joins_them(ups: Memory) -> None:
    (found,) = run(ups, "{alert: Down, expr: up == 0}")
    assert minutes(found) == [(10, 10, 20), (30, 30, 31)]
    (joined,) = run(ups, "{alert: Down, expr: up == 0, keep_firing_for: 15m}")
    assert minutes(joined) == [(10, 10, 46)]


def test_what_still_fires_ends_with_the_period(ups: Memory) -> None:
    (found,) = run(ups, "{alert: High, expr: level > 50}")
    assert minutes(found) == [(51, 51, 60)]


def test_a_recording_is_made_before_the_period_where_an_alert_looks_back_over_it(ups: Memory) -> None:
    """An average over ten minutes of what is recorded is right at the first moment already."""
    _, far, near = run(
        ups,
        "{record: 'job:level', expr: 'avg_over_time(level[30m])', labels: {kind: mean}}",
        "{alert: Far, expr: 'count_over_time(job:level{kind=\"mean\"}[10m]) < 10'}",
        "{alert: Near, expr: 'count_over_time(job:level{kind=\"mean\"}[10m]) == 10'}",
    )
    assert minutes(far) == []
    assert minutes(near) == [(0, 0, 60)]


def test_a_group_is_evaluated_at_its_interval_and_looks_back_by_its_offset(ups: Memory) -> None:
    (coarse,) = run(ups, "{alert: Down, expr: up == 0}", interval="4m")
    assert minutes(coarse) == [(12, 12, 20)]
    (late,) = run(ups, "{alert: Down, expr: up == 0}", extra="  query_offset: 2m\n")
    assert minutes(late) == [(12, 12, 22), (32, 32, 33)]
    (aligned,) = run(ups, "{alert: Down, expr: up == 0}", interval="4m", start=3 * MINUTE)
    assert minutes(aligned) == minutes(coarse)


def test_what_the_file_records_stands_in_place_of_what_history_holds_under_that_name(ups: Memory) -> None:
    ups.load({make_labels([("__name__", "down"), ("job", "old")]): [(at * MINUTE, 1.0) for at in range(61)]})
    _, found = run(ups, "{record: down, expr: up == bool 0}", "{alert: Down, expr: 'count(down) > 1 or down == 1'}")
    assert minutes(found) == [(10, 10, 20), (30, 30, 31)]


def test_a_recording_that_no_alert_asks_for_costs_nothing_and_is_told(ups: Memory) -> None:
    unused, _ = run(ups, "{record: 'x', expr: up}", "{alert: Down, expr: up == 0}")
    assert (unused.refused, unused.unused, unused.note) == ("", True, "no alert asks for it")


def test_an_evaluation_that_fails_is_skipped_as_prometheus_skips_it(ups: Memory) -> None:
    """Two series of one labelset fail a rule at that moment; at the others it is evaluated."""
    ups.load({make_labels([("__name__", "up"), ("job", "pay")]): [(at * MINUTE, 0.0) for at in range(15, 18)]})
    (found,) = run(ups, "{alert: Down, expr: up == 0, labels: {job: any}}")
    assert found.note.startswith("5 of 61 evaluations failed: vector contains metrics with the same labelset")
    assert len(found.firings) == 2
    ups.load({make_labels([("__name__", "up"), ("job", "pay")]): [(at * MINUTE, 0.0) for at in range(61)]})
    (other,) = run(ups, "{alert: Always, expr: 'up < 2', labels: {job: any}}")
    assert "same labelset" in other.refused


def test_more_than_a_groups_limit_fails_the_evaluation(ups: Memory) -> None:
    ups.load({make_labels([("__name__", "up"), ("job", "pay")]): [(at * MINUTE, 0.0) for at in range(12, 15)]})
    (found,) = run(ups, "{alert: Down, expr: up == 0}", extra="  limit: 1\n")
    assert "exceeded limit of 1" in found.note
    assert minutes(found)[0] == (10, 10, 12)


def test_rules_that_ask_for_their_own_states_are_refused(ups: Memory) -> None:
    own, fine = run(ups, "{alert: Own, expr: 'ALERTS{alertname=\"Own\"}'}", "{alert: Fine, expr: up == 0}")
    assert "depends on it" in own.refused
    assert fine.firings


def test_blocks_of_moments_give_what_all_at_once_gives(ups: Memory) -> None:
    text = "groups: [{name: a, rules: [{record: r, expr: up}, {alert: Down, expr: r == 0, for: 3m}]}]"
    whole = replay(read_rules(text), Engine(), ups, 0, END)
    parts = replay(read_rules(text), Engine(Limits(points=7)), ups, 0, END)
    assert [one.firings for one in whole] == [one.firings for one in parts]


def test_annotations_and_labels_are_filled_in_and_what_is_not_is_told(ups: Memory) -> None:
    annotations = "{summary: '{{ $labels.job }} at {{ $value | humanize }}', other: '{{ query \"up\" }}'}"
    (found,) = run(ups, f"{{alert: High, expr: level > 30, annotations: {annotations}}}")
    assert found.firings[0].annotations == {"summary": "cart at 31", "other": '{{ query "up" }}'}
    assert "stands as written: `query` is not filled in here" in found.note


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ $value }}", "0.1234"),
        ('{{ printf "%.2f" $value }} {{ $value | printf "%5.1f" }}|', "0.12   0.1|"),
        ("{{ .Labels.job }}-{{$labels.nope}}-{{ .Value | humanizePercentage }}", "cart--12.34%"),
        ("{{ if gt $value 1.0 }}high{{ else if gt $value 0.1 }}mid{{ else }}low{{ end }}", "mid"),
        ("a {{- /* said */ -}} b", "ab"),
        ('{{ reReplaceAll "c(.*)" "$1" $labels.job }} {{ (humanize $value) | toUpper }}', "art 123.4M"),
        ('{{ if match "^ca" $labels.job }}yes{{ end }}', "yes"),
        ("{{ range query `up` }}x{{ end }}", "{{ range query `up` }}x{{ end }}"),
        ("{{ nonsense", "{{ nonsense"),
        ("{{ reReplaceAll `(` `` `a` }}", "{{ reReplaceAll `(` `` `a` }}"),
    ],
)
def test_templates_read_as_those_of_prometheus(template: str, text: str) -> None:
    assert fill(template, Given({"job": "cart"}, 0.1234)) == text


def test_a_template_that_is_filled_in_has_no_problem() -> None:
    assert problem("{{ if $labels.x }}{{ end }}") == ""
    assert problem("{{ if $labels.x }}") == "an `if` has no `end`"
    assert problem("{{ end }}") == "`end` without `if`"


def test_a_rule_that_looks_at_what_nobody_sent_is_told_why_it_never_fired(ups: Memory) -> None:
    record, found, fine = run(
        ups,
        "{record: 'r', expr: 'typo * 2'}",
        "{alert: Lost, expr: 'r > 1 or rate(lost{a=\"b\"}[5m]) > up'}",
        "{alert: Fine, expr: 'up == 0'}",
    )
    assert record.note == "history holds no typo as it asks for"
    assert found.note == "history holds no lost as it asks for"
    assert fine.note == ""


def test_recordings_are_bounded() -> None:
    held = Recorded(Memory(), {"x"})
    with pytest.raises(TooLarge, match="20,000,000 samples"):
        held.put((), np.zeros(MOST_SAMPLES + 1, np.int64), np.zeros(1))


def test_a_selector_without_a_name_needs_no_recording_and_one_with_a_pattern_does(ups: Memory) -> None:
    _, bare, pattern = run(
        ups,
        "{record: 'job:up', expr: up}",
        "{alert: Bare, expr: 'count({job=\"cart\"}) > 9'}",
        "{alert: Pattern, expr: '{__name__=~\"job:.+\"} == 0'}",
    )
    assert bare.refused == ""
    assert len(pattern.firings) == 2


def test_a_book_of_many_rules_is_ordered_quickly() -> None:
    rules: Sequence[Rule] = [
        Rule(name=f"r{number}", expr="", records=True, looks=looks(f"r{number - 1}", Limits()))
        for number in range(1, 900)
    ]
    last = Rule(name="Last", expr="r899 > 0", looks=looks("r899 > 0", Limits()))
    found = replay(Book(rules=[*rules, last]), Engine(), Memory(), 0, 0)
    assert len(found) == 900


def test_a_template_that_cannot_take_this_value_stands_as_written_and_costs_nothing_else(ups: Memory) -> None:
    stamp = "{{ $value | humanizeTimestamp }}"
    asked = f'expr: vector(1700000000000000), annotations: {{at: "{stamp}"}}'
    odd, fine = run(ups, f"{{alert: Odd, {asked}}}", "{alert: High, expr: level > 30}")
    assert odd.firings[0].annotations == {"at": stamp}
    assert fine.firings


@pytest.mark.parametrize(
    "template",
    [
        "{{" + " " * 9_000,
        "{{ " + "(" * 400 + "1" + ")" * 400 + " }}",
        '{{ printf "%50000000s" "x" }}',
        "{{ $value }}" * 2000,
    ],
    ids=["open", "nested", "wide", "long"],
)
def test_a_hostile_template_is_quickly_done_and_small(template: str) -> None:
    begin = time.monotonic()
    assert len(fill(template, Given({}, 1.0))) <= len(template)
    assert time.monotonic() - begin < 1.0


def test_more_evaluations_than_a_year_of_minutes_refuse_a_rule_and_no_other(ups: Memory) -> None:
    text = (
        "groups:\n- {name: a, interval: 1ms, rules: [{alert: Often, expr: up == 0}]}\n"
        "- {name: b, interval: 1m, rules: [{alert: Down, expr: up == 0}]}"
    )
    often, down = replay(read_rules(text), Engine(), ups, 0, END)
    assert "evaluations" in often.refused
    assert down.firings


def test_a_label_that_is_no_text_refuses_its_rule(ups: Memory) -> None:
    nested, fine = run(ups, "{alert: A, expr: up == 0, labels: {x: [a, b]}}", "{alert: Down, expr: up == 0}")
    assert nested.refused == "'x' in labels must be a text"
    assert fine.firings
