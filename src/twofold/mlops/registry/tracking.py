"""Copies of runs, versions and aliases for an experiment tracker, behind a small port.

Our ledger is the truth; a tracker's registry keeps no history of its aliases. MLflow costs seconds
and a hundred megabytes to import, so it is only ever imported in a short-lived process of its own.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from twofold.errors import InputError, Unavailable
from twofold.mlops.child import ChildFailed, Limits, run
from twofold.records.model import ModelVersion, Run

LOG: Final = logging.getLogger(__name__)
_MODULE: Final = "twofold.mlops.registry.child"
_LIMITS: Final = Limits(cpu_s=120, wall_s=180.0)


class Tracking(Protocol):
    """An experiment tracker that gets copies."""

    def log(self, run: Run, version: ModelVersion, artifact: bytes) -> str:
        """Copy a run and its version; the same run again changes nothing. The tracker's run id, or empty."""
        ...

    def point(self, model: str, aliases: Mapping[str, str]) -> bool:
        """Make the tracker's aliases (`live`, `canary`, `shadow`) exactly these; whether that was done."""
        ...


class NullTracking:
    """Keeps nothing."""

    def log(self, run: Run, version: ModelVersion, artifact: bytes) -> str:
        """See `Tracking.log`."""
        del run, version, artifact
        return ""

    def point(self, model: str, aliases: Mapping[str, str]) -> bool:
        """See `Tracking.point`."""
        del model, aliases
        return False


class MlflowTracking:
    """MLflow's client on SQLite, or an MLflow server by URI.

    A tracker that fails loses a copy, never the work: the failure is logged and the call gives empty or False.

    Args:
        uri: Tracking and registry URI: `sqlite:////data/mlflow.sqlite`, or an MLflow server's address.
        artifacts: Folder for artifacts of experiments on SQLite; a server has its own.
    """

    def __init__(self, uri: str, artifacts: Path) -> None:
        self._uri = uri
        self._artifacts = artifacts

    @classmethod
    def on_disk(cls, data: Path) -> MlflowTracking:
        """A tracker in the data folder: `mlflow.sqlite` and `mlflow/`."""
        return cls(f"sqlite:///{data / 'mlflow.sqlite'}", data / "mlflow")

    def log(self, run: Run, version: ModelVersion, artifact: bytes) -> str:
        """See `Tracking.log`."""
        request = {
            "act": "log",
            "run": run.id,
            "project": run.project,
            "model": run.model,
            "version": version.version,
            "format": version.format,
            "parameters": {**run.parameters, "seed": str(run.seed)},
            "metrics": dict(run.metrics),
            "tags": {
                "twofold.run": run.id,
                "twofold.version": version.version,
                "twofold.dataset": run.dataset,
                "twofold.code_sha256": run.code_sha256,
                "twofold.environment_sha256": run.environment_sha256,
                "twofold.artifact_sha256": version.artifact_sha256,
            },
        }
        return str(self._ask(request, artifact) or "")

    def point(self, model: str, aliases: Mapping[str, str]) -> bool:
        """See `Tracking.point`."""
        return bool(self._ask({"act": "point", "model": model, "aliases": dict(aliases)}, b""))

    def _ask(self, request: Mapping[str, object], artifact: bytes) -> object:
        self._artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="twofold-track-") as name:
            folder = Path(name)
            (folder / "artifact.bin").write_bytes(artifact)
            whole = {**request, "uri": self._uri, "artifacts": str(self._artifacts)}
            try:
                return run(_MODULE, whole, folder=folder, limits=_LIMITS)
            except (ChildFailed, InputError, Unavailable) as error:
                LOG.warning("the tracker at %s has no copy of this: %s", self._uri, error.message)
                return None
