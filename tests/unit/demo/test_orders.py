"""The queue between checkout and worker."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from demo.shop import orders as queue
from demo.shop.orders import Orders


def test_messages_come_out_in_order_with_their_headers(tmp_path: Path) -> None:
    orders = Orders(tmp_path / "q" / "orders.sqlite")
    first, second = orders.publish({"traceparent": "a"}, {"n": 1}), orders.publish({}, {"n": 2})
    one = orders.claim()
    assert one
    assert (one.id, one.headers, one.body) == (first, {"traceparent": "a"}, {"n": 1})
    two = orders.claim()
    assert two
    assert two.id == second
    assert orders.claim() is None
    assert orders.depth() == 2
    orders.done(one)
    orders.done(two)
    assert orders.depth() == 0
    orders.close()


def test_a_message_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    before = Orders(tmp_path / "orders.sqlite")
    before.publish({}, "kept")
    before.close()
    after = Orders(tmp_path / "orders.sqlite")
    found = after.claim()
    assert found
    assert found.body == "kept"
    after.close()


def test_a_message_given_back_is_claimed_again(tmp_path: Path) -> None:
    orders = Orders(tmp_path / "orders.sqlite")
    orders.publish({}, 1)
    message = orders.claim()
    assert message
    orders.retry(message, delay_s=60)
    assert orders.claim() is None
    orders.retry(message, delay_s=0)
    assert orders.claim() == message
    orders.close()


def test_a_lease_that_ran_out_frees_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_LEASE_S", -1.0)
    orders = Orders(tmp_path / "orders.sqlite")
    orders.publish({}, 1)
    assert orders.claim() == orders.claim()
    orders.close()


def test_another_thread_may_ask_for_the_depth(tmp_path: Path) -> None:
    orders = Orders(tmp_path / "orders.sqlite")
    orders.publish({}, 1)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(orders.depth()))
    thread.start()
    thread.join()
    assert found == [1]
    orders.close()
