"""Every catalog engine keeps the same promises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.engines import engines_of
from tests.strategies import TEXT
from twofold.errors import Corrupt, InputError, NotFound, TooLarge
from twofold.records.series import Origin, Series, SeriesKind
from twofold.store import catalog as port
from twofold.store.catalog import Catalog
from twofold.store.catalog.files import FileCatalog

Open = Callable[[], Catalog]
LIMIT = 50
OPENERS: dict[str, Callable[[Path], Catalog]] = {
    "files.FileCatalog": lambda root: FileCatalog(root, limit_per_tenant=LIMIT)
}
CART = "service:cart"


def test_every_engine_is_found_and_has_an_opener_here() -> None:
    found = engines_of(port, Catalog)
    assert found, "no catalog engine found: the contract covers nothing"
    assert set(found) == set(OPENERS)


@pytest.fixture(params=OPENERS)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: OPENERS[request.param](tmp_path)


def test_the_same_labels_have_one_sid_whatever_their_order(reopen: Open) -> None:
    catalog = reopen()
    sid, new = catalog.register("cpu", {"a": "1", "b": "2"}, entity=CART, tenant="main", unit="1")
    assert new
    assert 0 <= sid < 2**63
    assert catalog.register("cpu", {"b": "2", "a": "1"}, entity=CART, tenant="main") == (sid, False)
    assert catalog.get(sid, tenant="main") == Series(
        sid=sid, metric="cpu", labels={"a": "1", "b": "2"}, entity=CART, unit="1"
    )


def test_sids_are_the_same_on_every_machine(tmp_path: Path) -> None:
    for name, opener in OPENERS.items():
        first, second = opener(tmp_path / f"{name}-1"), opener(tmp_path / f"{name}-2")
        second.register("other", {}, entity=CART, tenant="main")
        assert first.register("cpu", {"a": "1"}, entity=CART, tenant="main") == second.register(
            "cpu", {"a": "1"}, entity=CART, tenant="main"
        )


def test_series_of_a_metric_stand_together(reopen: Open) -> None:
    catalog = reopen()
    tops = {catalog.register("cpu", {"a": str(n)}, entity=CART, tenant="main")[0] >> 43 for n in range(20)}
    assert len(tops) == 1


def test_what_is_saved_is_there_after_a_restart_and_what_is_not_is_given_the_same_sid(reopen: Open) -> None:
    catalog = reopen()
    saved, _ = catalog.register(
        "cpu", {"a": "é\n\t"}, entity=CART, tenant="main", kind=SeriesKind.COUNTER, origin=Origin.SPAN
    )
    catalog.save()
    unsaved, _ = catalog.register("mem", {}, entity=CART, tenant="main")
    again = reopen()
    assert again.get(saved, tenant="main") == catalog.get(saved, tenant="main")
    with pytest.raises(NotFound):
        again.get(unsaved, tenant="main")
    assert again.register("mem", {}, entity=CART, tenant="main") == (unsaved, True)
    again.save()
    assert reopen().count(tenant="main") == 2


def test_restored_definitions_count_as_known_and_are_saved(reopen: Open) -> None:
    catalog = reopen()
    given_out = Series(sid=7, metric="cpu", labels={"a": "1"}, entity=CART)
    catalog.restore([given_out])
    catalog.restore([given_out])
    assert catalog.register("cpu", {"a": "1"}, entity=CART, tenant="main") == (7, False)
    catalog.save()
    assert reopen().get(7, tenant="main") == given_out
    assert reopen().register("cpu", {"a": "1"}, entity=CART, tenant="main") == (7, False)


def test_one_sid_for_two_series_is_refused(reopen: Open) -> None:
    catalog = reopen()
    one = Series(sid=7, metric="cpu", labels={"a": "1"}, entity=CART)
    with pytest.raises(Corrupt, match="0000000000000007"):
        catalog.restore([one, replace(one, labels={"a": "2"})])


def test_past_the_limit_a_new_series_is_refused_and_known_ones_stay(reopen: Open) -> None:
    catalog = reopen()
    sids = [catalog.register("cpu", {"n": str(n)}, entity=CART, tenant="main")[0] for n in range(LIMIT)]
    with pytest.raises(TooLarge) as caught:
        catalog.register("cpu", {"n": "more"}, entity=CART, tenant="main")
    assert caught.value.reason == "cardinality"
    assert catalog.register("cpu", {"n": "3"}, entity=CART, tenant="main") == (sids[3], False)
    assert catalog.register("cpu", {"n": "more"}, entity=CART, tenant="other")[1], "the limit is each tenant's own"


def test_labels_past_their_size_are_refused(reopen: Open) -> None:
    with pytest.raises(InputError) as caught:
        reopen().register("cpu", {"a": "x" * 20_000}, entity=CART, tenant="main")
    assert caught.value.reason == "labels_size"


def test_a_tenant_sees_only_its_own(reopen: Open) -> None:
    catalog = reopen()
    sid, _ = catalog.register("cpu", {}, entity=CART, tenant="main")
    with pytest.raises(NotFound):
        catalog.get(sid, tenant="other")
    assert catalog.find(tenant="other") == []
    assert catalog.count(tenant="other") == 0


def test_every_condition_of_a_search_must_match(reopen: Open) -> None:
    catalog = reopen()
    for metric in ("cpu", "mem"):
        for entity in (CART, "service:shop"):
            for zone in "ab":
                catalog.register(metric, {"zone": zone, "entity": entity}, entity=entity, tenant="main")

    def found(**wanted: object) -> set[tuple[str, str, str]]:
        each = catalog.find(tenant="main", **wanted)  # type: ignore[arg-type]  # any of the conditions
        return {(series.metric, series.entity, series.labels["zone"]) for series in each}

    assert len(found()) == 8
    assert found(metric="cpu", entity=CART) == {("cpu", CART, "a"), ("cpu", CART, "b")}
    assert found(metric="cpu", labels={"zone": "a"}) == {("cpu", CART, "a"), ("cpu", "service:shop", "a")}
    assert found(metric="disk") == set()
    assert found(labels={"rack": "1"}) == set()
    assert len(found(limit=3)) == 3


def test_metrics_and_the_labels_of_each_are_told_without_the_rest(reopen: Open) -> None:
    opened = reopen()
    for metric, host in (("up", "a"), ("down", "a"), ("up", "b")):
        opened.register(metric, {"host": host}, entity=CART, tenant="main")
    assert list(opened.metrics(tenant="main")) == ["up", "down"]
    assert [dict(labels) for _, labels in opened.labels("up", tenant="main")] == [{"host": "a"}, {"host": "b"}]
    assert [sid for sid, _ in opened.labels("up", tenant="main")] == [
        each.sid for each in opened.find(tenant="main", metric="up")
    ]
    assert [dict(labels) for _, labels in opened.labels("up", tenant="main", after=1)] == [{"host": "b"}]
    assert not opened.labels("up", tenant="main", after=2)
    assert not opened.metrics(tenant="acme")
    assert not opened.labels("up", tenant="acme")


def test_threads_that_register_the_same_series_get_one_sid_and_one_of_them_is_told_it_is_new(reopen: Open) -> None:
    catalog = reopen()
    answers: list[list[tuple[int, bool]]] = [[] for _ in range(6)]

    def send(who: int) -> None:
        for number in range(LIMIT):
            answers[who].append(catalog.register("cpu", {"n": str(number)}, entity=CART, tenant="main"))

    threads = [threading.Thread(target=send, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(LIMIT):
        assert len({answer[number][0] for answer in answers}) == 1
        assert sum(answer[number][1] for answer in answers) == 1


@given(metric=TEXT, labels=st.dictionaries(TEXT, TEXT, max_size=4), unit=TEXT)
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_as_it_was(
    metric: str, labels: dict[str, str], unit: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for opener in OPENERS.values():
        root = tmp_path_factory.mktemp("catalog")
        catalog = opener(root)
        sid, _ = catalog.register(metric, labels, entity=metric, tenant="main", unit=unit)
        catalog.save()
        found = opener(root).get(sid, tenant="main")
        assert (found.metric, dict(found.labels), found.entity, found.unit) == (metric, labels, metric, unit)
