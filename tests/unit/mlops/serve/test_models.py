"""What is served follows the release ledger; what cannot be loaded changes nothing."""

from __future__ import annotations

import pytest

from tests.unit.mlops import toys
from twofold.errors import NotFound, Unavailable
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.mlops.serve.models import Models, share
from twofold.records.model import ModelKind, ReleaseStage
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger


@pytest.fixture
def models(ledger: SqlLedger, blobs: FileBlobs) -> Models:
    return Models(ledger, blobs)


def test_nothing_is_served_before_the_first_release(
    models: Models, ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes
) -> None:
    toys.register(ledger, blobs, toy_bytes)
    assert [models.ready, models.refresh(), models.ready] == [False, False, True]
    with pytest.raises(NotFound, match="not served"):
        models.choose("toy", "", "x")


def test_releases_are_followed_and_loaded_models_are_kept(
    models: Models, ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes
) -> None:
    first = toys.register(ledger, blobs, toy_bytes)
    toys.put_live(ledger, first)
    assert models.refresh()
    before = models.choose("toy", "", "x")
    assert before.version == first
    toys.put_live(ledger, toys.register(ledger, blobs, toys.model_bytes(1)))
    assert models.refresh()
    assert models.choose("toy", "", "x").version.version == "2"
    with pytest.raises(NotFound, match="versions 2"):
        models.choose("toy", "1", "x")
    Releases(ledger).rollback("toy", approver="bob", reason="drift")
    assert models.refresh()
    assert models.choose("toy", "", "x").version == first
    assert not models.refresh()


def test_a_canary_gets_its_share_of_request_ids_and_always_the_same(
    models: Models, ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes
) -> None:
    toys.put_live(ledger, toys.register(ledger, blobs, toy_bytes))
    toys.register(ledger, blobs, toys.model_bytes(1))
    Releases(ledger).release("toy", "2", ReleaseStage.CANARY, approver="ann", reason="try", weight=0.2)
    models.refresh()
    chosen = {f"r{number}": models.choose("toy", "", f"r{number}").version.version for number in range(2000)}
    assert list(chosen.values()).count("2") == pytest.approx(400, abs=60)
    assert all(models.choose("toy", "", one).version.version == version for one, version in list(chosen.items())[:50])
    assert models.choose("toy", "1", "r0").version.version == "1"
    assert 0 <= share("x") < 1


def test_a_version_that_cannot_be_loaded_leaves_what_answered(
    models: Models, ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes
) -> None:
    toys.put_live(ledger, toys.register(ledger, blobs, toy_bytes))
    models.refresh()
    toys.put_live(ledger, toys.register(ledger, blobs, b"no model"))
    assert not models.refresh()
    assert "skops" in models.failures["toy"]
    assert models.choose("toy", "", "x").version.version == "1"
    Releases(ledger).rollback("toy", approver="bob", reason="does not load")
    assert models.refresh()
    assert models.failures == {}


def test_a_transient_failure_is_tried_again(
    models: Models, ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.put_live(ledger, toys.register(ledger, blobs, toy_bytes))

    def away(_key: str) -> bytes:
        raise Unavailable("the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr(blobs, "get", away)
        assert not models.refresh()
    assert models.refresh()
    assert models.choose("toy", "", "x").version.version == "1"


def test_our_own_detectors_are_not_served(models: Models, ledger: SqlLedger, blobs: FileBlobs) -> None:
    registry = Registry(ledger, blobs)
    version = registry.register(
        registry.config_candidate("panel", ModelKind.DETECTOR, {"a": 1}, owner="twofold"), (toys.PASSED,)
    )
    toys.put_live(ledger, version)
    models.refresh()
    assert models.names() == []
    assert models.failures == {}


def test_other_tenants_releases_are_not_seen(ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes) -> None:
    toys.put_live(ledger, toys.register(ledger, blobs, toy_bytes))
    other = Models(ledger, blobs, tenant="acme")
    other.refresh()
    assert other.names() == []
