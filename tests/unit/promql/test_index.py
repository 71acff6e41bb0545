"""Series by matchers: columns that grow with the catalog, and are let go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import TooLarge
from twofold.store.catalog.files import FileCatalog
from twofold.store.promql.columns import Columns, literals
from twofold.store.promql.index import SeriesIndex
from twofold.store.promql.limits import Account, Limits
from twofold.store.promql.matchers import Matcher, Op, matching
from twofold.store.promql.parse import selector
from twofold.store.promql.values import NAME, make_labels

LIMITS = Limits()
VALUES = st.sampled_from(["", "a", "b", "a.b", "ab", "a|b"])
LABELS = st.dictionaries(st.sampled_from(["x", "y", "Z"]), VALUES, max_size=3)
PATTERNS = st.sampled_from(["a", "a|b", "a.b", r"a\.b", ".*", ".+", "", "a|", "[ab]+", r"a\|b"])


@given(
    st.lists(st.lists(LABELS, max_size=6), max_size=3),
    st.lists(st.builds(Matcher, st.sampled_from(["x", "y", "Z", "none"]), st.sampled_from(Op), PATTERNS), max_size=3),
)
def test_columns_keep_what_matchers_keep_of_label_sets_one_by_one(
    batches: list[list[dict[str, str]]], matchers: list[Matcher]
) -> None:
    columns = Columns("m")
    every: list[dict[str, str]] = []
    for batch in batches:
        columns.extend([(len(every) + at, labels) for at, labels in enumerate(batch)])
        every += batch
        kept = matching(every, matchers)
        assert columns.matching(matchers).tolist() == kept.tolist()
        rows = kept.nonzero()[0]
        expected = [(at, make_labels([(NAME, "m"), *every[at].items()])) for at in rows.tolist()]
        assert columns.named(rows) == sorted(expected, key=lambda each: each[1])
        assert columns.values("x", rows) == {every[at]["x"] for at in rows.tolist() if every[at].get("x")}


def test_many_series_come_in_the_order_of_their_labels() -> None:
    columns = Columns("m")
    columns.extend([(number, {"x": str(number * 7919 % 1000)}) for number in range(1000)])
    found = columns.named(columns.matching([Matcher("x", Op.LIKE, "..+")]).nonzero()[0])
    assert len(found) == 990
    assert [labels for _, labels in found] == sorted(labels for _, labels in found)


def test_series_that_came_since_are_found(tmp_path: Path) -> None:
    catalog = FileCatalog(tmp_path)
    index = SeriesIndex(catalog, tenant="main")
    for host in "ab":
        catalog.register("up", {"host": host}, entity="", tenant="main")
        found = index.find(selector('up{host=~"[a-z]"}', LIMITS), Account(LIMITS))
        assert dict(found[-1][1])["host"] == host
    assert len(found) == 2
    assert index.label_names(selector("up", LIMITS), Account(LIMITS)) == {NAME, "host"}
    assert index.label_values("host", selector("up", LIMITS), Account(LIMITS)) == {"a", "b"}
    assert not index.label_names(selector("down", LIMITS), Account(LIMITS))


def test_metrics_asked_for_longest_ago_are_let_go_and_found_again(tmp_path: Path) -> None:
    catalog = FileCatalog(tmp_path)
    for metric in "abc":
        for host in range(10):
            catalog.register(metric, {"host": str(host)}, entity="", tenant="main")
    index = SeriesIndex(catalog, tenant="main", most=20)
    for _ in range(2):
        for metric in "abc":
            assert len(index.find(selector(metric, LIMITS), Account(LIMITS))) == 10
            assert sum(map(len, index._columns.values())) <= 20
    assert len(index.find(selector('{__name__=~"a|b|c"}', LIMITS), Account(LIMITS))) == 30


def test_too_many_series_are_refused(tmp_path: Path) -> None:
    catalog = FileCatalog(tmp_path)
    for host in range(10):
        catalog.register("up", {"host": str(host)}, entity="", tenant="main")
    with pytest.raises(TooLarge, match="more than 9 series"):
        SeriesIndex(catalog, tenant="main").find(selector("up", LIMITS), Account(Limits(series=9)))


def test_a_pattern_that_lists_texts_is_told_from_one_that_does_more() -> None:
    assert literals(r"a\.b|c-d|") == ["a.b", "c-d", ""]
    assert [literals(text) for text in ("a.b", "(a|b)", r"\d", "a*", "^a", r"a\b")] == [None] * 6
