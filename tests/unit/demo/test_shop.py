"""Small parts of the shop, and its independence from Twofold."""

from __future__ import annotations

import ast
import doctest
import statistics
from importlib import import_module
from pathlib import Path
from random import Random

import pytest

import demo
from demo.model.world import item
from demo.shop.goods import COUNT, products
from demo.shop.load import DECK, REQUESTS_PER_JOURNEY
from demo.shop.recommendation import Clicks
from demo.shop.switches import Switches

ROOT = Path(demo.__file__).parent
MODULES = sorted(path for folder in ("shop", "control") for path in (ROOT / folder).glob("*.py"))


def test_nothing_of_shop_and_control_imports_twofold_or_its_own_package_by_name() -> None:
    assert MODULES
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"twofold", "demo"}, path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples_in_docstrings_are_true(path: Path) -> None:
    module = import_module(f"demo.{path.parent.name}.{path.stem}")
    assert doctest.testmod(module).failed == 0


def test_goods_are_the_same_at_every_start_and_look_like_the_training_data() -> None:
    goods = products()
    assert len(goods) == COUNT
    assert goods[0] == products.__wrapped__()[0]
    random = Random(5)  # noqa: S311 - data for a test
    drawn = [item(random) for _ in range(COUNT)]
    for name in ("price", "rating", "popularity"):
        live, trained = [getattr(one, name) for one in goods], [one[name] for one in drawn]
        assert statistics.median(live) == pytest.approx(statistics.median(trained), rel=0.1)


def test_the_load_knows_how_many_requests_a_journey_makes() -> None:
    per_journey = {"page": 1, "article": 1, "recommendations": 2, "buy": 4 / 3 + 1}
    assert sum(per_journey[name] for name in DECK) / len(DECK) == pytest.approx(REQUESTS_PER_JOURNEY)


def test_the_click_ratio_waits_for_enough_and_forgets_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("demo.shop.recommendation.time.monotonic", lambda: now[0])
    clicks = Clicks()
    clicks.add(10, 5)
    assert clicks.ratio() is None
    clicks.add(10, 10)
    assert clicks.ratio() == 0.75
    now[0] += 31
    clicks.add(20, 2)
    assert clicks.ratio() == 0.1
    now[0] += 31
    assert clicks.ratio() == 0.1


def test_switches_tell_their_followers() -> None:
    switches = Switches()
    seen: list[object] = []
    switches.follow("latency", seen.append)
    assert switches.get("latency") is None
    switches.set("latency", True)
    assert switches.get("latency") is True
    assert seen == [True]
