"""Relabelling does what Prometheus does, by the cases of its own test suite."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.aiops.ingest.clean.config import Action, CleanConfig, RelabelRule
from twofold.aiops.ingest.clean.relabel import Relabel, expand
from twofold.config import build
from twofold.errors import ConfigError

ABC = {"a": "foo", "b": "bar", "c": "baz"}
PORTS = {"__tmp_port": "1234", "__port1": "1234", "__port2": "5678"}
PAIRS = {"a": "foo", "b1": "bar", "b2": "baz"}
SOME = "some-([^-]+)-([^,]+)"
TAGS = "path:/secret,job:some-job,label:foo=bar"
PORT_NAME, PORT_NOTE = "__meta_kubernetes_pod_container_port_name", "__meta_kubernetes_pod_annotation_XXX_metrics_port"


def rule(action: str = "replace", *sources: str, **more: Any) -> RelabelRule:
    return RelabelRule(source_labels=sources, action=Action(action), **more)


# Source: Prometheus, model/relabel/relabel_test.go (Apache License 2.0), TestRelabel: labels before, rules, labels
# after or None when they are dropped.
CASES: list[tuple[dict[str, str], list[RelabelRule], dict[str, str] | None]] = [
    (
        ABC,
        [rule("replace", "a", regex="f(.*)", target_label="d", replacement="ch${1}-ch${1}")],
        ABC | {"d": "choo-choo"},
    ),
    (
        ABC,
        [
            rule("replace", "a", "b", regex="f(.*);(.*)r", target_label="a", replacement="b${1}${2}m"),
            rule("replace", "c", "a", regex="(b).*b(.*)ba(.*)", target_label="d", replacement="$1$2$2$3"),
        ],
        ABC | {"a": "boobam", "d": "boooom"},
    ),
    ({"a": "foo"}, [rule("drop", "a", regex=".*o.*"), rule("replace", "a", regex="f(.*)", target_label="d")], None),
    ({"a": "foo", "b": "bar"}, [rule("drop", "a", regex=".*o.*")], None),
    ({"a": "abc"}, [rule("replace", "a", regex=".*(b).*", target_label="d")], {"a": "abc", "d": "b"}),
    ({"a": "foo"}, [rule("drop", "a", regex="no-match")], {"a": "foo"}),
    ({"a": "foo"}, [rule("drop", "a", regex="f|o")], {"a": "foo"}),
    ({"a": "foo"}, [rule("keep", "a", regex="no-match")], None),
    ({"a": "foo"}, [rule("keep", "a", regex="f.*")], {"a": "foo"}),
    ({"a": "boo"}, [rule("replace", "a", regex="f", target_label="b", replacement="bar")], {"a": "boo"}),
    (ABC, [rule("hashmod", "c", target_label="d", modulus=1000)], ABC | {"d": "976"}),
    (
        {"a": "foo\nbar"},
        [rule("hashmod", "a", target_label="b", modulus=1000)],
        {"a": "foo\nbar", "b": "734"},
    ),
    (PAIRS, [rule("labelmap", regex="(b.*)", replacement="bar_${1}")], PAIRS | {"bar_b1": "bar", "bar_b2": "baz"}),
    (
        {"a": "foo", "__meta_my_bar": "aaa", "__meta_my_baz": "bbb", "__meta_other": "ccc"},
        [rule("labelmap", regex="__meta_(my.*)", replacement="${1}")],
        {
            "a": "foo",
            "__meta_my_bar": "aaa",
            "__meta_my_baz": "bbb",
            "__meta_other": "ccc",
            "my_bar": "aaa",
            "my_baz": "bbb",
        },
    ),
    (
        {"a": "some-name-value"},
        [rule("replace", "a", regex=SOME, replacement="${2}", target_label="${1}")],
        {"a": "some-name-value", "name": "value"},
    ),
    (
        {"a": "some-name-value"},
        [rule("replace", "a", regex=SOME, replacement="${3}", target_label="${1}")],
        {"a": "some-name-value"},
    ),
    (
        {"a": "some-name-0"},
        [
            rule("replace", "a", regex=SOME, replacement="${1}", target_label="${3}"),
            rule("replace", "a", regex=SOME, replacement="${1}", target_label="${3}"),
            rule("replace", "a", regex="some-([^-]+)(-[^,]+)", replacement="${1}", target_label="${3}"),
        ],
        {"a": "some-name-0"},
    ),
    (
        {"__meta_sd_tags": TAGS},
        [
            rule(
                "replace",
                "__meta_sd_tags",
                regex="(?:.+,|^)path:(/[^,]+).*",
                replacement="${1}",
                target_label="__metrics_path__",
            ),
            rule("replace", "__meta_sd_tags", regex="(?:.+,|^)job:([^,]+).*", replacement="${1}", target_label="job"),
            rule(
                "replace",
                "__meta_sd_tags",
                regex="(?:.+,|^)label:([^=]+)=([^,]+).*",
                replacement="${2}",
                target_label="${1}",
            ),
        ],
        {"__meta_sd_tags": TAGS, "__metrics_path__": "/secret", "job": "some-job", "foo": "bar"},
    ),
    (
        {PORT_NAME: "foo", PORT_NOTE: "9091"},
        [
            rule("labeldrop", regex=f"^{PORT_NAME}$"),
            rule("replace", PORT_NOTE, regex="(.+)", replacement="metrics", target_label=PORT_NAME),
            rule("keep", PORT_NAME, regex="^metrics$"),
        ],
        {PORT_NAME: "metrics", PORT_NOTE: "9091"},
    ),
    (PAIRS, [rule("labelkeep", regex="(b.*)")], {"b1": "bar", "b2": "baz"}),
    (PAIRS, [rule("labeldrop", regex="(b.*)")], {"a": "foo"}),
    (
        {"foo": "bAr123Foo"},
        [
            rule("uppercase", "foo", target_label="foo_uppercase"),
            rule("lowercase", "foo", target_label="foo_lowercase"),
        ],
        {"foo": "bAr123Foo", "foo_lowercase": "bar123foo", "foo_uppercase": "BAR123FOO"},
    ),
    (PORTS, [rule("keepequal", "__tmp_port", target_label="__port1")], PORTS),
    (PORTS, [rule("dropequal", "__tmp_port", target_label="__port1")], None),
    (PORTS, [rule("dropequal", "__tmp_port", target_label="__port2")], PORTS),
    (PORTS, [rule("keepequal", "__tmp_port", target_label="__port2")], None),
]


@pytest.mark.parametrize(("before", "rules", "after"), CASES)
def test_prometheuss_own_cases(before: dict[str, str], rules: list[RelabelRule], after: dict[str, str] | None) -> None:
    found = Relabel(rules).apply(before)
    assert (None if isinstance(found, int) else found) == after


# The same file, TestRelabelValidate and TestTargetLabelValidity
@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"action": "replace"}, "requires 'target_label'"),
        ({"action": "lowercase"}, "requires 'target_label'"),
        ({"action": "lowercase", "target_label": "${3}"}, "is invalid 'target_label'"),
        ({"regex": SOME, "target_label": "0${3}"}, "is invalid 'target_label'"),
        ({"regex": SOME, "target_label": "-${3}"}, "is invalid 'target_label' for replace action"),
        ({"action": "hashmod", "target_label": "a"}, "modulus"),
        ({"action": "labelmap", "replacement": "-"}, "is invalid 'replacement'"),
        ({"action": "labeldrop", "source_labels": ("a",)}, "takes only 'regex'"),
        ({"action": "keepequal", "target_label": "a", "regex": "x"}, "takes only 'source_labels'"),
        ({"regex": "(", "target_label": "a"}, "no regular expression"),
        ({"name": "two words", "target_label": "a"}, "must be at most 64"),
    ],
)
def test_what_prometheus_refuses_is_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(word)):
        RelabelRule(**settings | {"action": Action(settings.get("action", "replace"))})


@pytest.mark.parametrize(
    ("target", "valid"),
    [
        ("-label", False),
        ("label", True),
        ("label${1}", True),
        ("${1}label", True),
        ("${1}", True),
        ("${", False),
        ("$", False),
        ("${}", False),
        ("foo${", False),
        ("$1", True),
        ("asd$2asd", True),
        ("-foo${1}bar-", False),
        ("_${1}_", True),
        ("foo${bar}foo", True),
    ],
)
def test_targets_are_valid_where_prometheus_says_so(target: str, *, valid: bool) -> None:
    if valid:
        rule(target_label=target)
    else:
        with pytest.raises(ConfigError):
            rule(target_label=target)


TEXTS = st.text("ab$1{}_;", max_size=8)
LABELS = st.dictionaries(st.sampled_from(["a", "b", "c"]), TEXTS.filter(bool), max_size=3)


@given(LABELS, st.sampled_from(["a", "b", "d"]))
def test_a_kept_series_is_never_changed_by_keep_and_drop(labels: dict[str, str], source: str) -> None:
    """Of keep and drop with one expression exactly one drops, and what stays is unchanged."""
    kept = Relabel([rule("keep", source, regex="a.*")]).apply(labels)
    dropped = Relabel([rule("drop", source, regex="a.*")]).apply(labels)
    assert (kept == labels) == (dropped == 0)
    assert (dropped == labels) == (kept == 0)


@given(LABELS)
def test_labeldrop_and_labelkeep_part_the_labels(labels: dict[str, str]) -> None:
    one = Relabel([rule("labeldrop", regex="a|b")]).apply(labels)
    other = Relabel([rule("labelkeep", regex="a|b")]).apply(labels)
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one | other == labels
    assert not one.keys() & other.keys()


@given(LABELS, st.integers(1, 64))
def test_a_hash_is_below_its_modulus_and_the_same_each_time(labels: dict[str, str], modulus: int) -> None:
    rules = Relabel([rule("hashmod", "a", "b", target_label="d", modulus=modulus)])
    found = rules.apply(labels)
    assert isinstance(found, dict)
    assert 0 <= int(found["d"]) < modulus
    assert found == rules.apply(labels)


@given(TEXTS)
def test_no_template_fails_and_one_without_a_dollar_is_itself(template: str) -> None:
    match = re.fullmatch("(.*)", "x")
    assert match is not None
    result = expand(match, template)
    if "$" not in template:
        assert result == template


def test_rules_are_read_from_settings_as_prometheus_writes_them() -> None:
    yaml = {"source_labels": ["job"], "regex": "test-.*", "action": "drop", "name": "tests"}
    config = build({"home": "/nowhere", "ingest": {"clean": {"relabel": [yaml]}}})
    assert config.ingest.clean.relabel == (rule("drop", "job", regex="test-.*", name="tests"),)
    with pytest.raises(ConfigError, match=r"no setting ingest\.clean\.relabel\.0\.sources"):
        build({"home": "/nowhere", "ingest": {"clean": {"relabel": [{"sources": []}]}}})


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 100"):
        CleanConfig(relabel=tuple(rule("drop", "a", regex=str(n)) for n in range(101)))
