"""Real stores in a folder of their own, and small models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.mlops import toys
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture(scope="session")
def toy_bytes() -> bytes:
    """A model of two inputs as a skops file: the chance that a + b is positive."""
    return toys.model_bytes()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small valid project of its own."""
    return toys.write_project(tmp_path / "projects" / "toy")
