"""Reference profiles are found by version; what is missing or damaged is None, and damage is logged."""

from __future__ import annotations

import pytest

from tests.unit.mlops import toys
from tests.unit.mlops.monitor.test_drift import PROFILE
from twofold.mlops.monitor.profiles import Profiles
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger


def test_profiles_come_from_the_registered_version(
    ledger: SqlLedger, blobs: FileBlobs, caplog: pytest.LogCaptureFixture
) -> None:
    profiles = Profiles(ledger, blobs)
    assert profiles("toy", "1") is None
    toys.register(ledger, blobs, b"1", reference=blobs.add(PROFILE.to_bytes()))
    toys.register(ledger, blobs, b"2")
    toys.register(ledger, blobs, b"3", reference=blobs.add(b"no profile"))
    assert profiles("toy", "1") == PROFILE
    assert profiles("toy", "1") is profiles("toy", "1")
    assert profiles("toy", "2") is None
    assert profiles("toy", "3") is None
    assert "toy@3 is monitored without a reference" in caplog.text
