"""Alert rules in Prometheus's format: read, recording rules put in, evaluated over history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from twofold.aiops.detect.rules import Firing, Rule, firings, read_rules
from twofold.errors import InputError
from twofold.store.promql import Engine, Labels
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions
from twofold.store.promql.values import Samples

MINUTE = 60_000
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


class Ups:
    """One series `up`, down in minutes 10 to 20 and in minute 30."""

    labels: Labels = (("__name__", "up"), ("job", "cart"))

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        del conditions, account
        return [self.labels]

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        del conditions, account
        times = np.arange(0, 61) * MINUTE
        value = np.where(((times >= 10 * MINUTE) & (times < 20 * MINUTE)) | (times == 30 * MINUTE), 0.0, 1.0)
        kept = (times >= start_ms) & (times <= end_ms)
        return Samples([self.labels], np.array([0, int(kept.sum())]), times[kept], value[kept])


def test_a_file_gives_its_alerts_with_recording_rules_put_in() -> None:
    errors, down = read_rules(FILE)
    assert (errors.name, errors.for_s, errors.interval_s) == ("ManyErrors", 120.0, 30.0)
    assert errors.expr == "(errors / requests) > 0.1"
    assert errors.labels["severity"] == "critical"
    assert (down.expr, down.for_s) == ("up == 0", 0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "no YAML"),
        ("groups: 3", "list under `groups`"),
        ("groups: [{name: a, rules: [{alert: X}]}]", "group 'a', rule 'X'.*needs `expr`"),
        ("groups: [{name: a, rules: [{alert: X, expr: up, for: soon}]}]", "'soon' is no duration"),
        (
            "groups: [{name: a, rules: [{record: r, expr: up}, {alert: X, expr: 'r{a=\"b\"} > 1'}]}]",
            "filters or looks back",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_rules(text)


def test_it_fires_when_the_expression_has_held_for_long_enough_and_ends_with_it() -> None:
    rule = Rule(name="Down", expr="up == 0", for_s=180.0, labels={"severity": "critical"})
    assert firings(rule, Engine(), Ups(), 0, 60 * MINUTE) == [
        Firing(
            rule="Down",
            labels={"job": "cart", "severity": "critical"},
            active_ms=10 * MINUTE,
            fired_ms=13 * MINUTE,
            ended_ms=20 * MINUTE,
        )
    ]


def test_without_a_wait_every_stretch_fires_and_keeping_on_joins_them() -> None:
    rule = Rule(name="Down", expr="up == 0")
    assert [one.active_ms // MINUTE for one in firings(rule, Engine(), Ups(), 0, 60 * MINUTE)] == [10, 30]
    joined = firings(Rule(name="Down", expr="up == 0", keep_s=900.0), Engine(), Ups(), 0, 60 * MINUTE)
    assert [(one.active_ms // MINUTE, one.ended_ms // MINUTE) for one in joined] == [(10, 46)]


def test_an_expression_that_cannot_be_evaluated_names_its_rule() -> None:
    with pytest.raises(InputError, match="alert 'Odd'"):
        firings(Rule(name="Odd", expr="sum("), Engine(), Ups(), 0, MINUTE)
