"""The release ledger: who put which version where, why, and on what evidence. Append-only.

A version goes shadow → canary → live. Every entry is one atomic step: who answers now follows from
the entries alone (`mlops.traffic`), so nothing can be half done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from twofold.errors import Conflict, Denied, InputError
from twofold.mlops.traffic import Traffic, chain, fold
from twofold.records.entity import DEFAULT_TENANT, EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.model import ModelVersion, Release, ReleaseStage
from twofold.store.ledger import Ledger

_OFFERED = frozenset({ReleaseStage.SHADOW, ReleaseStage.CANARY, ReleaseStage.LIVE, ReleaseStage.RETIRED})


def utc_now() -> datetime:
    """The wall clock: approvals happen in it."""
    return datetime.now(UTC)


class Releases:
    """Appends releases and reads who answers now."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime] = utc_now) -> None:
        self._ledger = ledger
        self._now = now

    def release(
        self,
        model: str,
        version: str,
        stage: ReleaseStage,
        *,
        approver: str,
        reason: str,
        weight: float = 0.0,
        evidence: Sequence[str] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Release:
        """Put a version into a stage. Evidence of its gates is added to what is given.

        Rules: all gates passed (none at all is not passed); a canary needs a live version beside it;
        live is reached from shadow or canary, or when nothing is live yet; the live version is not retired.

        `weight` is a canary's share, between 0 and 1; live and shadow have their own.

        Raises:
            NotFound: No such version.
            Denied: No approver.
            InputError: No reason, a stage that cannot be asked for, or a canary's weight out of range.
            Conflict: A rule above does not hold, or the version stands there already.
        """
        _demand_person(approver, reason)
        if stage not in _OFFERED:
            raise InputError(f"a version cannot be released as {stage.value}; use rollback()", reason="stage")
        if stage is ReleaseStage.CANARY and not 0 < weight < 1:
            raise InputError(f"a canary's weight is between 0 and 1, not {weight:g}", reason="weight", weight=weight)
        found = self._ledger.get(ModelVersion, f"{model}@{version}", tenant=tenant)
        if stage is not ReleaseStage.RETIRED:
            _demand_gates(found)
        share = {ReleaseStage.CANARY: weight, ReleaseStage.LIVE: 1.0}.get(stage, 0.0)
        passed = tuple(f"gate {gate.name}: {gate.text}" for gate in found.gates)

        def entry(traffic: Traffic) -> Release:
            _demand_way(traffic, found, stage, share)
            return self._entry(
                model,
                version,
                stage,
                traffic,
                weight=share,
                previous=traffic.live,
                approver=approver,
                reason=reason,
                evidence=(*evidence, *passed),
                tenant=tenant,
            )

        return self._append(model, entry, tenant)

    def rollback(
        self,
        model: str,
        *,
        approver: str,
        reason: str,
        version: str = "",
        evidence: Sequence[str] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Release:
        """Take back the live version, and bring back the one that was live before; or end a canary.

        One entry `ROLLED_BACK` does both: `version` is what went, `previous` what answers from now on.

        An empty `version` means the live one. Name it where a retry could take back one version too many.

        Raises:
            Denied: No approver.
            InputError: No reason.
            Conflict: The version answers nobody, or there is nothing to go back to.
        """
        _demand_person(approver, reason)

        def entry(traffic: Traffic) -> Release:
            chosen = version or traffic.live
            stage = traffic.stage(chosen)
            if stage not in {ReleaseStage.LIVE, ReleaseStage.CANARY}:
                raise Conflict(
                    f"{model}@{chosen or '?'} is not live and no canary; live is {traffic.live or 'none'}",
                    model=model,
                    version=chosen,
                    live=traffic.live,
                )
            back = traffic.previous if stage is ReleaseStage.LIVE else traffic.live
            if not back:
                raise Conflict(f"{model}@{chosen} was the first live version: nothing to go back to", model=model)
            return self._entry(
                model,
                chosen,
                ReleaseStage.ROLLED_BACK,
                traffic,
                weight=0.0,
                previous=back,
                approver=approver,
                reason=reason,
                evidence=tuple(evidence),
                tenant=tenant,
            )

        return self._append(model, entry, tenant)

    def traffic(self, model: str, *, tenant: str = DEFAULT_TENANT) -> list[tuple[str, ReleaseStage, float]]:
        """(version, stage, weight) of every version that sees requests now, live first."""
        return fold(chain(self._ledger, model, tenant=tenant)).table()

    def live(self, model: str, *, tenant: str = DEFAULT_TENANT) -> str:
        """The live version, or empty."""
        return fold(chain(self._ledger, model, tenant=tenant)).live

    def history(self, model: str, *, tenant: str = DEFAULT_TENANT) -> list[Release]:
        """All releases of a model, oldest first."""
        return chain(self._ledger, model, tenant=tenant)

    def _append(self, model: str, entry: Callable[[Traffic], Release], tenant: str) -> Release:
        """Decide and append in one serialised transaction, so that two approvers cannot both be right."""

        def build(_newest: Release | None) -> Release:
            return entry(fold(chain(self._ledger, model, tenant=tenant)))

        return self._ledger.append_next(Release, build, tenant=tenant, where={"model": model})

    def _entry(
        self,
        model: str,
        version: str,
        stage: ReleaseStage,
        traffic: Traffic,
        *,
        weight: float,
        previous: str,
        approver: str,
        reason: str,
        evidence: tuple[str, ...],
        tenant: str,
    ) -> Release:
        seq = traffic.seq + 1
        return Release(
            id=f"{model}#{seq}",
            model=model,
            version=version,
            stage=stage,
            seq=seq,
            time=self._now(),
            weight=weight,
            previous=previous,
            approver=approver,
            reason=reason.strip(),
            evidence=evidence,
            tenant=tenant,
        )


def change_of(release: Release) -> Event:
    """The release as a change of its model, to be ranked as a cause beside deploys."""
    back = release.stage is ReleaseStage.ROLLED_BACK
    now = release.previous if back else release.version
    titles = {
        ReleaseStage.SHADOW: f"{release.model} {release.version} shadows {release.previous or 'nothing'}",
        ReleaseStage.CANARY: f"{release.model} {release.version} answers {release.weight:.0%} as canary",
        ReleaseStage.LIVE: f"{release.model} {release.version} went live",
        ReleaseStage.RETIRED: f"{release.model} {release.version} retired",
        ReleaseStage.ROLLED_BACK: f"{release.model} {release.version} rolled back, {release.previous} answers",
    }
    return Event(
        id=f"release:{release.id}",
        kind=EventKind.CHANGE,
        time=release.time,
        entity=entity_id(EntityKind.MODEL, release.model),
        title=titles[release.stage],
        tenant=release.tenant,
        change=ChangeKind.ROLLBACK if back else ChangeKind.PROMOTION,
        version=now,
        source="twofold.release",
        attributes={
            "stage": release.stage.value,
            "weight": f"{release.weight:g}",
            "previous": release.version if back else release.previous,
            "approver": release.approver,
            "reason": release.reason,
        },
    )


def _demand_person(approver: str, reason: str) -> None:
    if not approver.strip():
        raise Denied("a release needs an approver; sign in as one")
    if not reason.strip():
        raise InputError("a release needs a reason; say in one sentence why", reason="no_reason")


def _demand_gates(version: ModelVersion) -> None:
    failed = [gate.name for gate in version.gates if not gate.passed]
    if failed:
        raise Conflict(
            f"{version.id} failed {len(failed)} of {len(version.gates)} gates ({', '.join(failed)}); train again",
            version=version.version,
            failed=failed,
        )
    if not version.gates:
        raise Conflict(f"{version.id} was judged by no gate; declare at least one", version=version.version, failed=[])


def _demand_way(traffic: Traffic, version: ModelVersion, stage: ReleaseStage, weight: float) -> None:
    """The rules of the way to live."""
    now = traffic.stage(version.version)
    if now is stage and (stage is not ReleaseStage.CANARY or traffic.canaries[version.version] == weight):
        raise Conflict(f"{version.id} is {stage.value} already", version=version.version, stage=stage.value)
    if now is ReleaseStage.LIVE:
        raise Conflict(f"{version.id} is live; roll it back, or put another version live", version=version.version)
    match stage:
        case ReleaseStage.CANARY if not traffic.live:
            raise Conflict(f"{version.id} cannot be a canary: no version of {version.model} is live beside it")
        case ReleaseStage.CANARY:
            others = sum(share for other, share in traffic.canaries.items() if other != version.version)
            if others + weight >= 1:
                raise Conflict(f"canaries of {version.model} would take all traffic: {others:g} and {weight:g}")
        case ReleaseStage.LIVE if traffic.live and now not in {ReleaseStage.SHADOW, ReleaseStage.CANARY}:
            raise Conflict(
                f"{version.id} has seen no traffic; release it as shadow or canary before it replaces {traffic.live}",
                version=version.version,
                live=traffic.live,
            )
        case ReleaseStage.RETIRED if now is None:
            raise Conflict(f"{version.id} sees no traffic, so there is nothing to retire", version=version.version)
        case _:
            pass
