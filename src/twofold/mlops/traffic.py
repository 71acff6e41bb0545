"""Who answers now: the traffic table of a model, folded from its chain of releases.

Pure, and shared ground of release, serving and governance, so that all of them read the chain the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Release, ReleaseStage
from twofold.store.ledger import Ledger

_PAGE = 500


@dataclass(slots=True)
class Traffic:
    """The state after some releases.

    Attributes:
        lives: Versions that went live and were not rolled back, oldest first; the last one is live.
        canaries: Share of traffic by version.
        shadows: Versions that get a copy of every request and answer none, oldest first.
        seq: Position of the newest release seen.
    """

    lives: list[str] = field(default_factory=list)
    canaries: dict[str, float] = field(default_factory=dict)
    shadows: list[str] = field(default_factory=list)
    seq: int = 0

    @property
    def live(self) -> str:
        """The live version, or empty."""
        return self.lives[-1] if self.lives else ""

    @property
    def previous(self) -> str:
        """The version that a rollback of the live one brings back, or empty."""
        earlier = [version for version in self.lives if version != self.live]
        return earlier[-1] if earlier else ""

    def stage(self, version: str) -> ReleaseStage | None:
        """Where a version stands now; None when it gets no traffic."""
        if version == self.live and version:
            return ReleaseStage.LIVE
        if version in self.canaries:
            return ReleaseStage.CANARY
        return ReleaseStage.SHADOW if version in self.shadows else None

    def table(self) -> list[tuple[str, ReleaseStage, float]]:
        """(version, stage, weight): live first, whose weight is what canaries leave, then canaries, then shadows."""
        rows = [(self.live, ReleaseStage.LIVE, 1.0 - sum(self.canaries.values()))] if self.live else []
        rows += [(version, ReleaseStage.CANARY, weight) for version, weight in self.canaries.items()]
        return rows + [(version, ReleaseStage.SHADOW, 0.0) for version in self.shadows]

    def apply(self, release: Release) -> None:
        """Take the next release of the chain."""
        version, live = release.version, self.live
        self.seq = release.seq
        if release.stage is not ReleaseStage.LIVE or version != live:
            self.canaries.pop(version, None)
            self.shadows = [other for other in self.shadows if other != version]
        match release.stage:
            case ReleaseStage.SHADOW:
                self.shadows.append(version)
            case ReleaseStage.CANARY:
                self.canaries[version] = release.weight
            case ReleaseStage.LIVE if version != live:
                self.lives.append(version)
            case ReleaseStage.ROLLED_BACK | ReleaseStage.RETIRED:
                self.lives = [other for other in self.lives if other != version]
                self.canaries.pop(self.live, None)  # what comes back may have been offered again meanwhile
                self.shadows = [other for other in self.shadows if other != self.live]
            case _:
                pass


def fold(releases: Iterable[Release]) -> Traffic:
    """The traffic after releases in order of `seq`."""
    traffic = Traffic()
    for release in releases:
        traffic.apply(release)
    return traffic


def chain(ledger: Ledger, model: str, *, tenant: str = DEFAULT_TENANT) -> list[Release]:
    """All releases of a model, in order of `seq`."""
    found: list[Release] = []
    after = ""
    while True:
        page = ledger.find(Release, tenant=tenant, where={"model": model}, limit=_PAGE, after=after, newest_first=False)
        found.extend(page)
        if len(page) < _PAGE:
            return sorted(found, key=lambda release: release.seq)
        after = page[-1].id
