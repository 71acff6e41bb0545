"""MLflow gets copies; its failure loses a copy and nothing else."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.mlops import toys
from twofold.mlops.registry.tracking import MlflowTracking, NullTracking
from twofold.records.model import Run, RunState
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger

RUN = Run(
    id="run-1",
    project="toy",
    model="toy",
    state=RunState.SUCCEEDED,
    started=toys.START,
    parameters={"strength": "1.0"},
    metrics={"roc_auc": 0.9},
    code_sha256="c0de",
)


def test_nothing_is_kept_by_default(ledger: SqlLedger, blobs: FileBlobs) -> None:
    version = toys.register(ledger, blobs, b"bytes")
    assert NullTracking().log(RUN, version, b"bytes") == ""
    assert not NullTracking().point("toy", {"live": "1"})


def test_runs_versions_and_aliases_are_copied_once(ledger: SqlLedger, blobs: FileBlobs, tmp_path: Path) -> None:
    first, second = (toys.register(ledger, blobs, data) for data in (b"one", b"two"))
    tracking = MlflowTracking.on_disk(tmp_path)
    reference = tracking.log(RUN, second, b"two")
    assert len(reference) == 32
    assert tracking.log(RUN, second, b"two") == reference
    with sqlite3.connect(tmp_path / "mlflow.sqlite") as database:
        assert database.execute("select key, value from params order by key").fetchall() == [
            ("seed", "0"),
            ("strength", "1.0"),
        ]
        assert database.execute("select key, value from metrics").fetchall() == [("roc_auc", 0.9)]
        assert database.execute("select count(*) from model_versions").fetchone() == (1,)
    database.close()
    kept = list((tmp_path / "mlflow").rglob("model.skops"))
    assert [path.read_bytes() for path in kept] == [b"two"]
    assert tracking.point("toy", {"live": second.version})
    assert not tracking.point("toy", {"shadow": first.version}), "a version that was never copied gets no alias"
    assert not tracking.point("other", {"live": "1"})
    with sqlite3.connect(tmp_path / "mlflow.sqlite") as database:
        assert database.execute("select alias from registered_model_aliases").fetchall() == []
    database.close()


def test_a_broken_tracker_gives_empty_and_a_warning(
    ledger: SqlLedger, blobs: FileBlobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = toys.register(ledger, blobs, b"bytes")
    (tmp_path / "mlflow.sqlite").write_bytes(b"no database at all" * 100)
    assert MlflowTracking.on_disk(tmp_path).log(replace(RUN, id="run-2"), version, b"bytes") == ""
    assert "no copy" in caplog.text
