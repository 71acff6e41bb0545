"""Judging runs elsewhere, compares with what is live, and an unjudged version has not passed."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from tests.unit.mlops import toys
from twofold.errors import ConfigError
from twofold.mlops.gate.judge import judge
from twofold.records.model import Candidate, Field, ModelKind, ModelVersion
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger

GATES = ({"gate": "metric", "metric": "roc_auc", "min": 0.8}, {"gate": "not_worse_than_live", "metric": "roc_auc"})


@pytest.fixture
def candidate(blobs: FileBlobs, toy_bytes: bytes) -> Candidate:
    rows = toys.points(seed=9)
    table = pa.table({"a": rows[:, 0], "b": rows[:, 1], "positive": rows[:, 2]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return Candidate(
        model="toy",
        kind=ModelKind.SERVED,
        format="skops",
        artifact=blobs.add(toy_bytes),
        inputs=toys.INPUTS,
        outputs=toys.OUTPUTS,
        holdout=blobs.add(bytes(sink.getvalue())),
        label="positive",
    )


def test_results_come_in_the_declared_order(candidate: Candidate, blobs: FileBlobs) -> None:
    results = judge(GATES, candidate, blobs)
    assert [result.passed for result in results] == [True, True]
    assert "no version is live" in results[1].text


def test_live_is_compared_when_it_takes_the_same_inputs(
    candidate: Candidate, blobs: FileBlobs, ledger: SqlLedger, toy_bytes: bytes
) -> None:
    live: ModelVersion = toys.register(ledger, blobs, toy_bytes)
    assert "live has" in judge(GATES[1:], candidate, blobs, live=live)[0].text
    other = replace(live, inputs=(Field(name="z", datatype="FP64"),))
    assert "no version is live" in judge(GATES[1:], candidate, blobs, live=other)[0].text


def test_a_judge_that_cannot_judge_fails_the_version(candidate: Candidate, blobs: FileBlobs) -> None:
    broken = replace(candidate, artifact=blobs.add(b"no model"))
    results = judge(GATES, broken, blobs)
    assert [result.passed for result in results] == [False]
    assert "skops" in results[0].text


def test_a_wrong_declaration_is_a_configuration_error(candidate: Candidate, blobs: FileBlobs) -> None:
    with pytest.raises(ConfigError):
        judge([{"gate": "magic"}], candidate, blobs)
