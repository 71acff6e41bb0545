"""Watches canaries: one that does worse than live is taken back at once, without waiting for a person.

Going up needs an approver; going back is safe. So a verdict `PROMOTE` is only told.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from twofold.errors import ConfigError, Conflict
from twofold.mlops.project import read
from twofold.mlops.release.guard import Action, Decision, GuardConfig, Numbers, decide
from twofold.mlops.release.releases import Releases, utc_now
from twofold.mlops.traffic import fold
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Project, Release, ReleaseStage
from twofold.records.time import to_ns
from twofold.store.history import History
from twofold.store.ledger import Ledger

LOG: Final = logging.getLogger(__name__)
APPROVER: Final = "twofold"
_MODELS: Final = 1000
_QUERY: Final = """
select count(distinct request_id) as requests,
       count(distinct request_id) filter (where len(outputs) = 0) as failed,
       coalesce(quantile_cont(latency_ns, 0.95), 0) as p95_ns
from predictions
where model = $model and version = $version
"""

Drift = Callable[[str, str], float]
"""(model, version) -> newest PSI of the output, NaN when not measured."""


def _unmeasured(_model: str, _version: str) -> float:
    return math.nan


class Canaries:
    """Judges every canary by the prediction log since it began, and rolls back what is worse than live.

    Bounds come from the project's `monitors`, the number of requests from its `rollout`.

    Args:
        ledger: Releases and projects.
        history: The prediction log.
        drift: See `Drift`.
        now: Wall clock.
    """

    def __init__(
        self, ledger: Ledger, history: History, *, drift: Drift = _unmeasured, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._ledger = ledger
        self._history = history
        self._drift = drift
        self._now = now
        self._releases = Releases(ledger, now)

    def check(self, *, tenant: str = DEFAULT_TENANT) -> list[tuple[str, str, Decision]]:
        """(model, version, decision) of every canary; those to roll back have been rolled back."""
        found = self._ledger.find(Release, tenant=tenant, where={"stage": ReleaseStage.CANARY}, limit=_MODELS)
        made: list[tuple[str, str, Decision]] = []
        for model in sorted({release.model for release in found}):
            chain = self._releases.history(model, tenant=tenant)
            traffic = fold(chain)
            for version in traffic.canaries:
                begun = next(one for one in reversed(chain) if one.version == version)
                decision = self._judge(model, version, traffic.live, begun.time, tenant)
                made.append((model, version, decision))
                if decision.action is Action.ROLL_BACK:
                    self._roll_back(model, version, decision.reason, tenant)
        return made

    def _judge(self, model: str, version: str, live: str, begun: datetime, tenant: str) -> Decision:
        canary = self._numbers(model, version, begun, tenant)
        beside = self._numbers(model, live, begun, tenant)
        return decide(canary, beside, self._bounds(model, tenant))

    def _numbers(self, model: str, version: str, begun: datetime, tenant: str) -> Numbers:
        rows = self._history.query(
            _QUERY,
            tenant=tenant,
            parameters={"model": model, "version": version},
            start_ns=to_ns(begun),
            end_ns=to_ns(self._now()),
        )
        row = rows.to_pylist()[0]
        return Numbers(
            requests=int(row["requests"]),
            failed=int(row["failed"]),
            p95_s=float(row["p95_ns"]) / 1e9,
            drift=self._drift(model, version),
        )

    def _bounds(self, model: str, tenant: str) -> GuardConfig:
        """The project's own bounds, or the default ones for a model without a readable project."""
        projects = self._ledger.find(Project, tenant=tenant, where={"model": model}, limit=1)
        if not projects:
            return GuardConfig()
        try:
            definition = read(Path(projects[0].path))
        except ConfigError as error:
            LOG.warning("canaries of %s are judged by default bounds: %s", model, error.message)
            return GuardConfig()
        steps = [step.requests for step in definition.rollout if step.stage is ReleaseStage.CANARY and step.requests]
        return GuardConfig(
            min_requests=steps[0] if steps else GuardConfig().min_requests,
            max_error_ratio=definition.monitors.error_ratio,
            max_latency_ratio=definition.monitors.latency_ratio,
            max_drift=definition.monitors.output_psi,
        )

    def _roll_back(self, model: str, version: str, reason: str, tenant: str) -> None:
        try:
            self._releases.rollback(
                model, version=version, approver=APPROVER, reason=f"canary taken back: {reason}", tenant=tenant
            )
        except Conflict as error:
            LOG.info("canary %s@%s was already taken care of: %s", model, version, error.message)
