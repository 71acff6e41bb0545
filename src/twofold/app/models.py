"""The API's port to releases and training."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twofold.errors import Conflict, NotFound
from twofold.joints.config import DetectorsConfig
from twofold.joints.contest import must_win, unjudged
from twofold.joints.detectors import configure
from twofold.joints.rehearsals import rehearsal
from twofold.joints.remedies import request_training
from twofold.joints.rule_sets import import_rules, rules_of
from twofold.joints.successions import end_superseded
from twofold.joints.trust import Trusts
from twofold.joints.tuning import Plan
from twofold.mlops.release.releases import Releases
from twofold.records.model import ModelKind, ModelVersion, Project, Release, ReleaseStage
from twofold.records.shadow import Rehearsal
from twofold.records.trust import Trust
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

OURS: Final = frozenset({ModelKind.DETECTOR, ModelKind.RANKER, ModelKind.FORECASTER})

_MOST: Final = 10_000


class ModelProcess:
    """See `api.services.ModelsPort`."""

    def __init__(self, ledger: Ledger, blobs: Blobs, detectors: DetectorsConfig | None = None) -> None:
        self._ledger, self._blobs = ledger, blobs
        self._detectors = detectors or DetectorsConfig()
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
        accept_unknown: bool = False,
    ) -> Release:
        """Put a version into a stage. One of our own goes live only after it won against the one that is."""
        found = self._ledger.get(ModelVersion, f"{model}@{version}", tenant=tenant)
        evidence: tuple[str, ...] = ()
        if found.kind is ModelKind.RULES:
            raise Conflict(f"{found.id} holds alert rules, which are replayed and never released", model=model)
        if found.kind in OURS and stage is ReleaseStage.LIVE:
            evidence = self._evidence(found, actor if accept_unknown else "")
        made = self._releases.release(
            model,
            version,
            stage,
            approver=actor,
            reason=reason,
            weight=weight or 0.0,
            evidence=evidence,
            tenant=tenant,
        )
        if found.kind is ModelKind.DETECTOR and stage is ReleaseStage.SHADOW:
            end_superseded(self._releases, model, version, approver=actor, tenant=tenant)
        return made

    def _evidence(self, found: ModelVersion, accept_unknown: str) -> tuple[str, ...]:
        """What speaks for a version of our own. Raises `Conflict` where that is not enough."""
        if not self._releases.live(found.model, tenant=found.tenant):
            return ()
        if found.kind is ModelKind.FORECASTER:
            return unjudged(found.model, found.version, accept_unknown=accept_unknown)
        return must_win(
            self._ledger,
            found.model,
            found.version,
            tenant=found.tenant,
            limits=self._detectors.shadow,
            accept_unknown=accept_unknown,
        )

    def rehearsal(self, model: str, *, version: str, tenant: str) -> Rehearsal:
        """A shadow beside the live version."""
        return rehearsal(self._ledger, model, version, tenant=tenant, now=datetime.now(UTC))

    def trust(self, model: str, *, tenant: str) -> Trust | None:
        """What people's verdicts say of the live version."""
        return Trusts(self._ledger, self._detectors.trust).judge(model, tenant=tenant)

    def rollback(self, model: str, *, reason: str, actor: str, tenant: str) -> Release:
        """Put the version that was live before back."""
        known = sorted({one.model for one in self._ledger.find(ModelVersion, tenant=tenant, limit=_MOST)})
        if model not in known:
            raise NotFound(f"no model {model!r}; there are {', '.join(known) or 'none'}", kind="Model", id=model)
        live = self._releases.live(model, tenant=tenant)  # named, so that a call sent twice takes one version back
        return self._releases.rollback(model, version=live, approver=actor, reason=reason, tenant=tenant)

    def configure(
        self, model: str, settings: Mapping[str, Any], *, description: str, actor: str, tenant: str
    ) -> ModelVersion:
        """Register other settings of one of our own detectors as its next version."""
        return configure(
            self._ledger, self._blobs, model, settings, description=description, owner=actor, tenant=tenant
        )

    def import_rules(self, name: str, text: str, *, description: str, actor: str, tenant: str) -> ModelVersion:
        """Register a rule file under a name."""
        return import_rules(self._ledger, self._blobs, name, text, description=description, owner=actor, tenant=tenant)

    def rules(self, version: ModelVersion) -> str:
        """The rule file that a version is."""
        return rules_of(self._ledger, self._blobs, version)

    def train(
        self,
        project: str,
        *,
        seed: int | None,
        actor: str,
        tenant: str,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Ask the worker for a run; its id is the workflow's."""
        found = self._ledger.get(Project, project, tenant=tenant)
        if found.kind is ModelKind.DETECTOR:
            Plan.of(parameters or {})
        return request_training(
            self._ledger,
            found,
            requester=actor,
            key=uuid.uuid4().hex,
            now=datetime.now(UTC),
            seed=seed,
            parameters=parameters,
        ).id
