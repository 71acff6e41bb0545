"""What a backtest replays: one version under test, and whatever else is live beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.errors import InputError
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.codec import from_json
from twofold.records.model import ModelKind, ModelVersion
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

PANEL: Final = "panel"
CAUSES: Final = "causes"
_REPLAYED: Final = {PANEL: ModelKind.DETECTOR, CAUSES: ModelKind.RANKER}
_INSTEAD: Final = {
    ModelKind.FORECASTER: "a forecast is judged when its time has come, which `twofold forecasts` shows; its "
    "probation on made-up fills stands in `twofold detectors show`",
    ModelKind.SERVED: "its gates judge it on its hold-out, which `twofold models show` shows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what pages: the version's own settings, and those of the stages around it."""

    panel: PanelConfig
    detector: str
    joint: JointConfig
    correlate: CorrelateConfig
    causes: DiagnoseConfig
    ranker: str
    lateness_s: float


def demand_replayable(version: ModelVersion) -> None:
    """Raises `InputError` for a version of what no backtest replays, with what says how good it is instead."""
    if _REPLAYED.get(version.model) is version.kind:
        return
    instead = _INSTEAD.get(version.kind, "it is none of our own")
    raise InputError(
        f"{version.model} is a {version.kind.value}; backtests replay panel (series) and causes (ranking): {instead}",
        model=version.model,
    )


class Chain:
    """Reads the settings of a replay.

    Args:
        correlate, joint, lateness_s: As live.
    """

    def __init__(
        self, ledger: Ledger, blobs: Blobs, *, correlate: CorrelateConfig, joint: JointConfig, lateness_s: float
    ) -> None:
        self._registry, self._releases = Registry(ledger, blobs), Releases(ledger)
        self._correlate, self._joint, self._lateness_s = correlate, joint, lateness_s

    def of(self, model: str, version: str, tenant: str, config: PanelConfig | None = None) -> Settings:
        """With this version of the detector or ranker under test; `config` stands in for a detector's.

        Raises:
            NotFound: No such version.
            InputError: It is of something else.
        """
        tested = None if config else self._registry.version(model, version, tenant=tenant)
        if tested:
            demand_replayable(tested)
        panel = tested if tested and model == PANEL else self._live(PANEL, tenant)
        causes = tested if tested and model == CAUSES else self._live(CAUSES, tenant)
        return Settings(
            panel=config or (from_json(PanelConfig, self._registry.config(panel)) if panel else PanelConfig()),
            detector=panel.id if panel and not config else f"{PANEL}@0",
            joint=self._joint,
            correlate=self._correlate,
            causes=from_json(DiagnoseConfig, self._registry.config(causes)) if causes else DiagnoseConfig(),
            ranker=causes.id if causes else f"{CAUSES}@0",
            lateness_s=self._lateness_s,
        )

    def _live(self, model: str, tenant: str) -> ModelVersion | None:
        number = self._releases.live(model, tenant=tenant)
        return self._registry.version(model, number, tenant=tenant) if number else None
