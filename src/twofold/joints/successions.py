"""One shadow of a detector runs at a time: the next one ends it, and the ledger says so.

Belongs to joint 1. A served model may have many shadows, which all get a copy of each request; a detector's shadow is a
second detector beside the live one, so its cost is bounded by there being one.
"""

from __future__ import annotations

from twofold.mlops.release.releases import Releases
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Release, ReleaseStage


def running_shadow(releases: Releases, model: str, *, tenant: str = DEFAULT_TENANT) -> Release | None:
    """The release that made the running shadow one; None where nothing shadows."""
    rows = releases.traffic(model, tenant=tenant)
    shadows = [version for version, stage, _ in rows if stage is ReleaseStage.SHADOW]
    if not shadows:
        return None
    chain = releases.history(model, tenant=tenant)
    return next(
        (one for one in reversed(chain) if one.version == shadows[-1] and one.stage is ReleaseStage.SHADOW), None
    )


def end_superseded(
    releases: Releases, model: str, version: str, *, approver: str, tenant: str = DEFAULT_TENANT
) -> list[Release]:
    """Retire every other shadow of a model. Idempotent; a crash before it leaves a shadow that runs no more."""
    others = [
        other
        for other, stage, _ in releases.traffic(model, tenant=tenant)
        if stage is ReleaseStage.SHADOW and other != version
    ]
    return [
        releases.release(
            model,
            other,
            ReleaseStage.RETIRED,
            approver=approver,
            reason=f"{model}@{version} took its place as the shadow; one runs at a time",
            tenant=tenant,
        )
        for other in others
    ]
