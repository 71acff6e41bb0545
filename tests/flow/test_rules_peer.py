"""The same rules over the same samples through Prometheus's own `promtool test rules` and through the replay.

What the replay says fires, with which labels and annotations, and what recordings hold, is written down as the
expectation of a unit test of rules; promtool must find nothing to correct. `promtool` evaluates all groups of a file at
one interval, so the files here name none.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.unit.promql.memory import Memory
from twofold.aiops.detect.rules import Replayed, read_rules, replay
from twofold.store.promql import Engine, Labels, Limits
from twofold.store.promql.values import make_labels

PROMTOOL = shutil.which("promtool")
MINUTE = 60_000
MINUTES = 60
END = MINUTES * MINUTE
ENGINE = Engine(Limits(lookback_ms=300_001))
"""Prometheus 2 still shows a sample that is exactly five minutes old, version 3 and Twofold do not."""

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="needs the Debian package prometheus on PATH")

SAMPLES: Mapping[str, str] = {
    'requests{job="cart", zone="a"}': "0+60x10 600+120x20 3000+60x29",
    'requests{job="cart", zone="b"}': "0+30x60",
    'requests{job="pay", zone="a"}': "0+10x60",
    'errors{job="cart", zone="a"}': "0x10 0+30x20 600x29",
    'errors{job="cart", zone="b"}': "0x60",
    'errors{job="pay", zone="a"}': "0x20 0+5x4 20x5 20+5x10 70x20",
    'up{job="cart", instance="h1:9100"}': "1x10 0x9 1 0x2 1x3 0 1x33",
    'up{job="pay", instance="h2:9100"}': "1x30 _x12 1x17",
    'disk{host="db-1"}': "10+2x60",
}
"""Runs of one a minute: first value, step, how many times."""

FILES: Mapping[str, str] = {
    "a recording is selected by labels, aggregated and looked back over": """
groups:
- name: shop
  rules:
  - record: job:err:rate
    expr: sum by (job, zone) (rate(errors[150s])) / sum by (job, zone) (rate(requests[150s]))
    labels: {team: shop}
  - alert: Errors
    expr: job:err:rate{job="cart"} > 0.1
    for: 2m
    labels: {severity: critical, who: "{{ $labels.team }}-{{ $labels.zone }}"}
    annotations: {summary: "{{ $labels.job | toUpper }} in {{ .Labels.zone }} fails"}
  - alert: Most
    expr: max by (job) (job:err:rate) > 0.05
  - alert: Long
    expr: avg_over_time(job:err:rate[570s]) > 0.05
  - alert: Matched
    expr: '{__name__=~"job:.*", job!="pay"} offset 2m > 0.2'
""",
    "a recording of a recording, of which one name is a label's too": """
groups:
- name: a
  rules:
  - record: err
    expr: rate(errors[150s])
    labels: {kind: "x"}
  - record: err:max
    expr: max without (job) (err)
  - alert: Top
    expr: sum by (err) (err) > 0.2
  - alert: Replaced
    expr: label_replace(err:max, "x", "err", "", "") > 0.1
    annotations: {told: "{{ if eq $labels.x `err` }}it is{{ else }}it is not{{ end }} so"}
""",
    "recordings of one name with other labels": """
groups:
- name: a
  rules:
  - {record: "limit", expr: "vector(30)", labels: {host: db-1, kind: warn}}
  - {record: "limit", expr: "60", labels: {host: db-1, kind: page}}
  - alert: Full
    expr: disk > on (host) group_right () limit
    labels: {severity: "{{ $labels.kind }}"}
""",
    "waits, and keeping on": """
groups:
- name: a
  rules:
  - {alert: Down, expr: up == 0, for: 3m}
  - {alert: Kept, expr: up == 0, for: 1m, keep_firing_for: 5m}
  - {alert: Short, expr: up == 0}
  - {alert: Gone, expr: 'absent(up{job="pay"})', for: 4m, labels: {severity: info}}
""",
    "alerts of alerts": """
groups:
- name: a
  rules:
  - {alert: Down, expr: up == 0, for: 3m}
  - {alert: Pending, expr: 'ALERTS{alertname="Down", alertstate="pending"}'}
  - {alert: Any, expr: 'count by (job) (ALERTS{alertname=~"Dow.", alertstate="firing"}) > 0', for: 1m}
  - {alert: Since, expr: 'time() - ALERTS_FOR_STATE{alertname="Down"} > 300'}
""",
    "a rule sees what a later one made the last time": """
groups:
- name: a
  rules:
  - {alert: Early, expr: 'later > 50'}
  - {record: total, expr: 'sum(later) + (total or vector(0))'}
  - {record: later, expr: disk}
  - {alert: Late, expr: 'later > 50'}
  - {alert: Much, expr: 'total > 500'}
""",
    "what looks at fixed times or ahead sees only what there was": """
groups:
- name: a
  rules:
  - {record: level, expr: disk}
  - {alert: Fixed, expr: 'level - level @ 600 > 20'}
  - {alert: Ended, expr: 'level @ end() > 100'}
  - {alert: Ahead, expr: 'level offset -5m > 60'}
  - {alert: Sub, expr: 'max_over_time(level[10m:1m]) - min_over_time(level[10m:1m]) > 17'}
""",
    "another value is another alert where labels hold it": """
groups:
- name: a
  rules:
  - {alert: Never, expr: 'disk > 20', for: 2m, labels: {value: "{{ $value }}"}}
  - {alert: Steps, expr: 'floor(disk / 20) > 1', for: 3m, labels: {level: "{{ $value | humanize }}"}}
  - {alert: Same, expr: 'up == 0', labels: {instance: one, job: "{{ printf `%s!` `x` }}"}}
""",
    "series that come and go leave no trace": """
groups:
- name: a
  rules:
  - {record: bad, expr: up == 0}
  - {alert: Bad, expr: bad == 0}
  - {alert: Was, expr: 'count_over_time(bad[270s]) > 2'}
  - {alert: Clash, expr: 'bad * on () group_left () up{job="cart"} == 0'}
""",
}


def series_of(text: str) -> Labels:
    name, _, rest = text.rstrip("}").partition("{")
    pairs = [pair.split("=") for pair in rest.split(", ")]
    return make_labels([("__name__", name), *((key, value.strip('"')) for key, value in pairs)])


def numbers(text: str) -> list[float | None]:
    """Values of a run as promtool writes them: `a+bxn` is a and n more, `axn` as well, `_` is none."""
    found: list[float | None] = []
    for part in text.split():
        first, times, count = part.partition("x")
        start, plus, step = first.partition("+")
        each = None if start == "_" else float(start)
        many = range(int(count) if first == "_" else int(count) + 1) if times else range(1)
        found += [None if each is None else each + (float(step) if plus else 0.0) * number for number in many]
    return found


def memory() -> Memory:
    source = Memory()
    for name, text in SAMPLES.items():
        values = [(at * MINUTE, value) for at, value in enumerate(numbers(text)) if value is not None]
        source.load({series_of(name): values})
    return source


def expected(replayed: Sequence[Replayed]) -> list[dict[str, Any]]:
    """For each alert and minute what fires."""
    cases = []
    for each in (one for one in replayed if not one.rule.records):
        for minute in range(MINUTES):
            at = minute * MINUTE
            firing = [one for one in each.firings if one.fired_ms <= at < one.ended_ms or (one.ended_ms == at == END)]
            alerts = [{"exp_labels": dict(one.labels), "exp_annotations": dict(one.annotations)} for one in firing]
            cases.append({"eval_time": f"{minute}m", "alertname": each.rule.name, "exp_alerts": alerts})
    return cases


def promtool(folder: Path, rules: str, cases: Sequence[Mapping[str, Any]]) -> str:
    """What promtool has to correct; empty for nothing."""
    (folder / "rules.yaml").write_text(rules)
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": text} for name, text in SAMPLES.items()],
                "alert_rule_test": list(cases),
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    assert PROMTOOL
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr)


@pytest.mark.parametrize("told", list(FILES))
def test_the_replay_fires_when_prometheus_does(told: str, tmp_path: Path) -> None:
    book = read_rules(FILES[told])
    replayed = replay(book, ENGINE, memory(), 0, END)
    assert [one.refused for one in replayed if one.refused] == []
    cases = expected(replayed)
    assert promtool(tmp_path, FILES[told], cases) == ""
    assert promtool(tmp_path, FILES[told], [*cases[:-1], cases[-1] | {"exp_alerts": [{"exp_labels": {"no": "x"}}]}])
    assert any(one.firings for one in replayed)


def random_rules(seed: int) -> str:
    """A file of a few recordings and alerts that look at one another."""
    rng = np.random.default_rng(seed)
    names = ["up", "disk", "errors", "requests"]
    rules: list[dict[str, Any]] = []
    for number in range(int(rng.integers(4, 9))):
        seen = str(rng.choice(names))
        window = f"[{int(rng.integers(2, 9)) * 60 + 30}s]"
        shape = rng.choice(["{0}", "rate({0}{1})", "avg_over_time({0}{1})", "{0} offset 1m", "changes({0}{1})"])
        inner = str(shape).format(seen, window)
        how = rng.choice(["sum by (job) ({0})", "max({0})", "{0}", "count({0}) by (zone)", "{0} * 2"])
        expr = str(how).format(inner)
        if rng.random() < 0.5:
            names.append(f"made:{number}")
            rules.append({"record": names[-1], "expr": expr} | ({"labels": {"k": "v"}} if rng.random() < 0.5 else {}))
            continue
        limit = float(np.round(rng.choice([0.0, 0.1, 0.5, 1.0, 5.0, 40.0, 100.0]), 2))
        alert: dict[str, Any] = {"alert": f"A{number}", "expr": f"{expr} {rng.choice(['>', '<', '=='])} {limit:g}"}
        if rng.random() < 0.6:
            alert["for"] = f"{int(rng.integers(1, 6))}m"
        if rng.random() < 0.4:
            alert["keep_firing_for"] = f"{int(rng.integers(1, 8))}m"
        rules.append(alert)
    rules.append({"alert": "Last", "expr": f"{names[-1]} > 0"})
    return yaml.safe_dump({"groups": [{"name": "random", "rules": rules}]})


@pytest.mark.parametrize("seed", range(25))
def test_random_rules_fire_when_prometheus_does(seed: int, tmp_path: Path) -> None:
    text = random_rules(seed)
    replayed = replay(read_rules(text), ENGINE, memory(), 0, END)
    assert [one.refused for one in replayed if one.refused] == [], text
    assert promtool(tmp_path, text, expected(replayed)) == "", text
