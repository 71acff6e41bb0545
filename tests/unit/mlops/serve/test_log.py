"""The prediction log keeps every answered row until the journal has it, within a bound."""

from __future__ import annotations

import threading
import time

import numpy as np
import pyarrow as pa

from twofold.errors import InputError, Unavailable
from twofold.mlops.serve import metrics
from twofold.mlops.serve.log import Entry, PredictionLog, batch
from twofold.records.columns import PREDICTIONS


def entry(request_id: str = "r", rows: int = 1, *, failed: bool = False) -> Entry:
    outputs = np.empty((rows, 0)) if failed else np.arange(rows * 2.0).reshape(rows, 2)
    return Entry(7, "toy", "1", "live", request_id, 900, np.ones((rows, 3)), (), outputs)


def counted(outcome: str) -> float:
    return float(metrics.LOG_ROWS.labels(outcome)._value.get())


def until(fact: object, timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not fact() and time.monotonic() < deadline:  # type: ignore[operator]  # a function without arguments
        time.sleep(0.01)
    assert fact()  # type: ignore[operator]  # the same


def test_a_batch_has_one_row_per_predicted_row() -> None:
    made = batch([entry("one"), entry("two", 3), entry("bad", 2, failed=True)])
    assert made.schema.equals(PREDICTIONS)
    assert made.column("request_id").to_pylist() == ["one", "two", "two", "two", "bad", "bad"]
    assert made.column("outputs").to_pylist() == [[0, 1], [0, 1], [2, 3], [4, 5], [], []]
    assert made.column("numbers").to_pylist() == [[1, 1, 1]] * 6
    assert made.column("texts").to_pylist() == [[]] * 6
    assert made.column("model").to_pylist() == ["toy"] * 6


def test_texts_stand_beside_numbers() -> None:
    made = batch([entry()._replace(texts=[("x", "y")])])
    assert made.column("texts").to_pylist() == [["x", "y"]]


def test_rows_go_out_soon_and_the_rest_at_the_end() -> None:
    batches: list[pa.RecordBatch] = []
    log = PredictionLog(batches.append, every_s=0.05)
    log.start()
    log.add(entry("one"))
    until(lambda: batches)
    log.add(entry("two"))
    log.close()
    assert [name for one in batches for name in one.column("request_id").to_pylist()] == ["one", "two"]


def test_many_rows_do_not_wait_for_the_clock() -> None:
    batches: list[pa.RecordBatch] = []
    log = PredictionLog(batches.append, every_s=60, batch_rows=10)
    log.start()
    for _ in range(10):
        log.add(entry())
    until(lambda: sum(one.num_rows for one in batches) == 10)
    log.close()


def test_an_unavailable_receiver_loses_nothing_and_keeps_the_order() -> None:
    batches: list[pa.RecordBatch] = []
    tries: list[int] = []

    def receive(data: pa.RecordBatch) -> None:
        tries.append(data.num_rows)
        if len(tries) < 3:
            raise Unavailable("no space to sync")
        batches.append(data)

    log = PredictionLog(receive, every_s=0.02)
    log.start()
    log.add(entry("one"))
    until(lambda: tries)
    log.add(entry("two"))
    until(lambda: batches)
    log.close()
    assert [name for one in batches for name in one.column("request_id").to_pylist()] == ["one", "two"]


def test_rows_past_the_bound_are_dropped_and_counted() -> None:
    before, released = counted("dropped_full"), threading.Event()
    log = PredictionLog(lambda _data: released.wait(5), limit_rows=5)
    log.add(entry(rows=4))
    log.add(entry(rows=2))
    log.add(entry(rows=1))
    assert counted("dropped_full") - before == 2
    released.set()


def test_refused_rows_are_counted_and_the_next_ones_go_on() -> None:
    before, taken = counted("refused"), []

    def receive(data: pa.RecordBatch) -> None:
        if "bad" in data.column("request_id").to_pylist():
            raise InputError("not this one")
        taken.append(data)

    log = PredictionLog(receive, every_s=0.02)
    log.start()
    log.add(entry("bad"))
    until(lambda: counted("refused") - before == 1)
    log.add(entry("good"))
    until(lambda: taken)
    log.close()


def test_what_the_receiver_will_not_take_at_the_end_is_counted() -> None:
    before = counted("dropped_closed")

    def receive(_data: pa.RecordBatch) -> None:
        raise Unavailable("gone")

    log = PredictionLog(receive, every_s=10)
    log.start()
    log.add(entry(rows=3))
    log.close()
    assert counted("dropped_closed") - before == 3
