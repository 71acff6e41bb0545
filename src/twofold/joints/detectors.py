"""Joint 1: our detectors are models. What runs in the stages is the live version of the register, gated like any other.

The settings that ship with this package are registered on first start, judged by the probation (`joints.probation`),
and released through the same ledger as users' models. An upgrade that ships other settings arrives as a shadow:
people promote it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.forecast.config import CapacityConfig
from twofold.errors import ConfigError, Conflict, InputError, NotFound
from twofold.joints.probation import judge_capacity, judge_causes, judge_panel
from twofold.joints.successions import end_superseded, running_shadow
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.codec import from_json, to_json
from twofold.records.model import GateResult, ModelKind, ModelVersion, ReleaseStage
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

log = logging.getLogger(__name__)

PANEL: Final = "panel"
CAUSES: Final = "causes"
CAPACITY: Final = "capacity"
OWNER: Final = "twofold"
_UNRELEASED: Final = "0"
C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live(Generic[C]):
    """Settings that are live, and the version's id, which findings and diagnoses name.

    Attributes:
        release: For a shadow, number of the release that made it one.
    """

    id: str
    config: C
    release: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part(Generic[C]):
    model: str
    kind: ModelKind
    config: type[C]
    judge: Callable[[C], Sequence[GateResult]]
    description: str


_PANEL: Final = _Part(
    model=PANEL,
    kind=ModelKind.DETECTOR,
    config=PanelConfig,
    judge=judge_panel,
    description="Panel detector of all series: level, season, shifts and standstill, calibrated by peaks.",
)
_CAUSES: Final = _Part(
    model=CAUSES,
    kind=ModelKind.RANKER,
    config=DiagnoseConfig,
    judge=judge_causes,
    description="Ranks suspects by onset, strength, direction of calls and recent changes.",
)


_CAPACITY: Final = _Part(
    model=CAPACITY,
    kind=ModelKind.FORECASTER,
    config=CapacityConfig,
    judge=judge_capacity,
    description="Says when disks, memory and other limited things will be full, from the slopes that held before.",
)
_PARTS: Final = (_PANEL, _CAUSES, _CAPACITY)


class Released:
    """The live detector, forecaster and ranker, read from the ledger."""

    def __init__(self, ledger: Ledger, blobs: Blobs) -> None:
        self._registry = Registry(ledger, blobs)
        self._releases = Releases(ledger)
        self._known: dict[str, str] = {}

    def ensure(self) -> None:
        """Register and release what ships with the package, where nothing is live yet."""
        for part in _PARTS:
            self._ensure(part)
        self.refresh()

    def panel(self) -> Live[PanelConfig]:
        """The live detector of series."""
        return self._live(_PANEL)

    def shadow(self) -> Live[PanelConfig] | None:
        """The detector of series that shadows the live one; of several the one released last."""
        running = running_shadow(self._releases, PANEL)
        if running is None:
            return None
        return replace(self._settings(_PANEL, running.version), release=running.seq)

    def panel_of(self, detector: str, tenant: str) -> PanelConfig | None:
        """Settings of a version of the detector of series by its `name@version`; None when it is none, or is gone."""
        model, _, number = detector.partition("@")
        if model != PANEL or not number:
            return None
        if number == _UNRELEASED:
            return PanelConfig()
        try:
            version = self._registry.version(model, number, tenant=tenant)
            return from_json(PanelConfig, self._registry.config(version))
        except NotFound:
            return None

    def causes(self) -> Live[DiagnoseConfig]:
        """The live ranker of causes."""
        return self._live(_CAUSES)

    def capacity(self) -> Live[CapacityConfig]:
        """The live forecaster of exhaustion."""
        return self._live(_CAPACITY)

    def refresh(self) -> bool:
        """Whether another version is live, or shadows, than at the last call."""
        now = {part.model: self._releases.live(part.model) for part in _PARTS}
        shadow = self.shadow()
        now["shadow"] = f"{shadow.id}#{shadow.release}" if shadow else ""
        changed = now != self._known
        self._known = now
        return changed

    def _live(self, part: _Part[C]) -> Live[C]:
        number = self._releases.live(part.model)
        if not number:
            return Live(id=f"{part.model}@0", config=part.config())
        return self._settings(part, number)

    def _settings(self, part: _Part[C], number: str) -> Live[C]:
        version = self._registry.version(part.model, number)
        return Live(id=version.id, config=from_json(part.config, self._registry.config(version)))

    def _ensure(self, part: _Part[Any]) -> None:
        config = part.config()
        settings: Mapping[str, Any] = to_json(config)
        candidate = self._registry.config_candidate(
            part.model, part.kind, settings, owner=OWNER, description=part.description
        )
        live = self._releases.live(part.model)
        if live and self._registry.version(part.model, live).artifact == candidate.artifact:
            return
        version = self._registry.register(candidate, part.judge(config))
        self._offer(part.model, version, first=not live)

    def _offer(self, model: str, version: ModelVersion, *, first: bool) -> None:
        try:
            self._releases.release(
                model, version.version, ReleaseStage.SHADOW, approver=OWNER, reason="shipped with this package"
            )
            end_superseded(self._releases, model, version.version, approver=OWNER)
            if first:
                self._releases.release(
                    model,
                    version.version,
                    ReleaseStage.LIVE,
                    approver=OWNER,
                    reason="first version of this installation",
                )
        except Conflict as error:
            log.warning("%s is registered but not released: %s", version.id, error)


def _demand_sane(name: str, value: object, base: object) -> None:
    """Raises `InputError` for a number that no setting takes: not finite, below 0, or in place of yes and no."""
    if isinstance(value, bool) != isinstance(base, bool):
        raise InputError(f"{name} is {value!r}; it is {base!r} now", setting=name)
    if isinstance(value, int | float) and not 0 <= value <= sys.float_info.max:
        raise InputError(f"{name} is {value!r:.40}; a number must be finite and not below 0", setting=name)


def configure(
    ledger: Ledger,
    blobs: Blobs,
    model: str,
    settings: Mapping[str, Any],
    *,
    description: str,
    owner: str,
    tenant: str,
) -> ModelVersion:
    """Register the live settings with some changed as the model's next version; its probation is its gates.

    The same settings again give the version that they already have.

    Raises:
        InputError: No such detector, no such setting, or a value that it does not take.
    """
    parts: dict[str, _Part[Any]] = {part.model: part for part in _PARTS}
    part = parts.get(model)
    if part is None:
        raise InputError(f"{model!r} is none of our own; there are {', '.join(sorted(parts))}", model=model)
    registry, number = Registry(ledger, blobs), Releases(ledger).live(model, tenant=tenant)
    base = registry.config(registry.version(model, number, tenant=tenant)) if number else to_json(part.config())
    if unknown := sorted(settings.keys() - base.keys()):
        raise InputError(f"{model} has no setting {', '.join(unknown)}; it has {', '.join(sorted(base))}")
    for name, value in settings.items():
        _demand_sane(name, value, base[name])
    try:
        config = from_json(part.config, base | dict(settings))
    except ConfigError as error:
        raise InputError(error.message) from error
    candidate = registry.config_candidate(
        model, part.kind, to_json(config), owner=owner, description=description or part.description
    )
    return registry.register(replace(candidate, tenant=tenant), part.judge(config))
