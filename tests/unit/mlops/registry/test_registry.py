"""Versions are numbered without gaps, once a run, and keep the bytes they were registered with."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import pytest

from tests.unit.mlops import toys
from twofold.errors import Conflict, Corrupt, InputError, NotFound, Unsupported
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.model import Candidate, ModelKind, ReleaseStage
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger


@pytest.fixture
def registry(ledger: SqlLedger, blobs: FileBlobs) -> Registry:
    return Registry(ledger, blobs, toys.Clock())


def _candidate(blobs: FileBlobs, run: str = "", model: str = "toy") -> Candidate:
    return Candidate(model=model, kind=ModelKind.SERVED, format="skops", artifact=blobs.add(b"bytes"), run=run)


def test_versions_count_from_one_per_model(registry: Registry, blobs: FileBlobs) -> None:
    numbers = [registry.register(_candidate(blobs), ()).version for _ in range(3)]
    assert numbers == ["1", "2", "3"]
    assert registry.register(_candidate(blobs, model="other"), ()).id == "other@1"
    assert registry.version("toy", "2").id == "toy@2"
    with pytest.raises(NotFound):
        registry.version("toy", "9")


def test_the_same_run_is_registered_once(registry: Registry, blobs: FileBlobs) -> None:
    first = registry.register(_candidate(blobs, "run-1"), (toys.PASSED,))
    registry.register(_candidate(blobs, "run-2"), ())
    assert registry.register(_candidate(blobs, "run-1"), ()) == first


def test_many_at_once_get_numbers_of_their_own(registry: Registry, blobs: FileBlobs) -> None:
    found: list[str] = []
    threads = [Thread(target=lambda: found.append(registry.register(_candidate(blobs), ()).version)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(1, 9)]


def test_bytes_are_checked_when_read(registry: Registry, blobs: FileBlobs) -> None:
    version = registry.register(_candidate(blobs), ())
    assert registry.artifact(version) == b"bytes"
    with pytest.raises(Corrupt, match="registered was"):
        registry.artifact(replace(version, artifact_sha256="0" * 64))


def test_what_has_no_name_or_no_bytes_is_refused(registry: Registry, blobs: FileBlobs) -> None:
    with pytest.raises(InputError):
        registry.register(_candidate(blobs, model=""), ())
    with pytest.raises(InputError):
        registry.register(replace(_candidate(blobs), artifact="file:///etc/passwd"), ())
    with pytest.raises(NotFound):
        registry.register(replace(_candidate(blobs), artifact="sha256/" + "0" * 64), ())


def test_our_own_detector_goes_the_same_way(registry: Registry, ledger: SqlLedger) -> None:
    settings = {"alpha": 0.05, "channels": ["level", "trend"]}
    candidate = registry.config_candidate("panel", ModelKind.DETECTOR, settings, owner="twofold")
    version = registry.register(candidate, (toys.PASSED,))
    assert (version.format, version.kind) == ("config", ModelKind.DETECTOR)
    assert registry.config(version) == settings
    again = registry.config_candidate("panel", ModelKind.DETECTOR, dict(reversed(settings.items())), owner="twofold")
    assert registry.register(again, ()) == version
    releases = Releases(ledger, toys.Clock())
    releases.release("panel", "1", ReleaseStage.LIVE, approver="ann", reason="first detector")
    assert releases.live("panel") == "1"
    worse = registry.register(
        registry.config_candidate("panel", ModelKind.DETECTOR, {"alpha": 0.5}, owner="twofold"), (toys.FAILED,)
    )
    with pytest.raises(Conflict, match="failed 1 of 1"):
        releases.release("panel", worse.version, ReleaseStage.SHADOW, approver="ann", reason="try")


def test_settings_are_read_only_from_a_config_version(registry: Registry, blobs: FileBlobs) -> None:
    with pytest.raises(Unsupported):
        registry.config(registry.register(_candidate(blobs), ()))
