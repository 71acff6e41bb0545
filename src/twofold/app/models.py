"""The API's port to releases and training."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from twofold.joints.remedies import request_training
from twofold.mlops.release.releases import Releases
from twofold.records.model import Project, Release, ReleaseStage
from twofold.store.ledger import Ledger


class ModelProcess:
    """See `api.services.ModelsPort`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._releases = Releases(ledger)

    def release(
        self,
        model: str,
        *,
        version: str,
        stage: ReleaseStage,
        weight: float | None,
        reason: str,
        actor: str,
        tenant: str,
    ) -> Release:
        """Put a version into a stage."""
        return self._releases.release(
            model, version, stage, approver=actor, reason=reason, weight=weight or 0.0, tenant=tenant
        )

    def rollback(self, model: str, *, reason: str, actor: str, tenant: str) -> Release:
        """Put the version that was live before back."""
        live = self._releases.live(model, tenant=tenant)  # named, so that a call sent twice takes one version back
        return self._releases.rollback(model, version=live, approver=actor, reason=reason, tenant=tenant)

    def train(self, project: str, *, seed: int | None, actor: str, tenant: str) -> str:
        """Ask the worker for a run; its id is the workflow's."""
        found = self._ledger.get(Project, project, tenant=tenant)
        key = uuid.uuid4().hex
        return request_training(self._ledger, found, requester=actor, key=key, now=datetime.now(UTC), seed=seed).id
