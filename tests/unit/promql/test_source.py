"""Series by matchers, and their samples, out of a real catalog and history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api_world import Telemetry
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.promql import Engine, HistorySource, Labels, Limits
from twofold.store.promql import source as module
from twofold.store.promql.limits import Account
from twofold.store.promql.parse import selector

MS_NS = 1_000_000


class Shop:
    """A catalog and a history to fill."""

    def __init__(self, folder: Path) -> None:
        self.catalog = FileCatalog(folder / "catalog")
        self.history = Telemetry(folder / "history")
        self.source = HistorySource(self.catalog, self.history, tenant="main")

    def add(self, metric: str, labels: dict[str, str], samples: dict[int, float]) -> None:
        """Samples by nanosecond."""
        sid, _ = self.catalog.register(metric, labels, entity="service:x", tenant="main")
        self.history.add(Table.SAMPLES, *({"sid": sid, "time_ns": at, "value": v} for at, v in samples.items()))

    def read(
        self, text: str, end_ms: int = 10_000, limits: Limits | None = None
    ) -> dict[Labels, list[tuple[int, float]]]:
        """Samples by labels."""
        limits = limits or Limits()
        found = self.source.select(selector(text, limits), 0, end_ms, Account(limits))
        runs = zip(found.labels, found.starts[:-1].tolist(), found.starts[1:].tolist(), strict=True)
        return {
            labels: list(zip(found.times[a:b].tolist(), found.values[a:b].tolist(), strict=True))
            for labels, a, b in runs
        }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.history.close()


def named(name: str, **labels: str) -> Labels:
    return tuple(sorted(({"__name__": name} | labels).items()))


def test_samples_come_by_labels_and_time_from_tables_and_hot_window_as_one(shop: Shop) -> None:
    for host in "cab":
        shop.add("up", {"host": host}, {1000 * MS_NS: 1.0})
    shop.history.flush()
    for host in "bca":
        shop.add("up", {"host": host}, {2000 * MS_NS: 2.0, 20_000 * MS_NS: 3.0})
    found = shop.read("up")
    assert list(found) == [named("up", host=host) for host in "abc"]
    assert set(map(tuple, found.values())) == {((1000, 1.0), (2000, 2.0))}


def test_series_that_are_shown_alike_are_one(shop: Shop) -> None:
    """`a.b` and `a_b` both read `a_b`; of two samples in one millisecond one stands."""
    shop.add("a.b", {}, {1000 * MS_NS: 1.0, 3000 * MS_NS: 3.0, 3000 * MS_NS + 5: 4.0})
    shop.add("a_b", {}, {2000 * MS_NS: 2.0})
    assert shop.read("a_b") == {named("a_b"): [(1000, 1.0), (2000, 2.0), (3000, 4.0)]}
    assert shop.read('{"a.b"}') == shop.read("a_b")


@pytest.mark.parametrize("dot", [".", "_"])
def test_a_histogram_without_its_last_bucket_gets_it_from_its_count(shop: Shop, dot: str) -> None:
    """OpenTelemetry's and native ones are kept so; one that has the bucket keeps its own."""
    for path, closed in (("/a", False), ("/b", True)):
        shop.add(f"wait{dot}bucket", {"path": path, "le": "1"}, {0: 3.0})
        shop.add(f"wait{dot}count", {"path": path}, {0: 4.0})
        if closed:
            shop.add(f"wait{dot}bucket", {"path": path, "le": "+Inf"}, {0: 5.0})
    found = shop.read('wait_bucket{le="+Inf"}')
    assert found == {
        named("wait_bucket", path="/a", le="+Inf"): [(0, 4.0)],
        named("wait_bucket", path="/b", le="+Inf"): [(0, 5.0)],
    }
    assert len(shop.read('{__name__=~"wait.*"}')) == 6
    answer = Engine().instant(shop.source, "histogram_quantile(0.375, wait_bucket)", 0)
    assert answer.vector is not None
    assert answer.vector.values[:, 0].tolist() == [pytest.approx(0.5), pytest.approx(0.625)]


def test_a_read_that_could_exceed_the_limit_is_split(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in range(9):
        shop.add("up", {"host": str(host)}, {1000 * MS_NS: float(host)})
    whole = shop.read("up")
    monkeypatch.setattr(module, "_AT_ONCE_MS", 1)
    assert shop.read("up", limits=Limits(samples=20_000)) == whole
    assert len(whole) == 9


def test_matchers_of_names_labels_and_alternatives(shop: Shop) -> None:
    shop.add("red", {"x": "1"}, {0: 1.0})
    shop.add("green", {"x": "2", "y": "z"}, {0: 1.0})
    shop.add("blue", {}, {0: 1.0})

    def names(text: str) -> set[str]:
        return {dict(labels)["__name__"] for labels in shop.read(text)}

    assert names('{__name__=~"red|blue"}') == {"red", "blue"}
    assert names('{__name__!="red",__name__=~".+"}') == {"green", "blue"}
    assert names('{x!=""}') == {"red", "green"}
    assert names('{x="",__name__=~".+"}') == {"blue"}
    assert names('{x="1" or y="z"}') == {"red", "green"}
    assert names("violet") == set()
