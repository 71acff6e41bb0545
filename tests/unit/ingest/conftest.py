from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.ingest.null import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Receivers over stores in memory; conservation (P5) is checked at the end of every test."""
    made = Bench()
    yield made
    assert not made.counts.imbalance()
