"""Which settings of a detector are tried: changes of the live ones, some at random, some towards what people said.

Belongs to joint 1. Random search: with few settings that matter and no gradient it loses little against anything
cleverer, and every trial stands for itself.
Source: Bergstra & Bengio (2012), "Random Search for Hyper-Parameter Optimization".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from twofold.aiops.detect.config import PanelConfig
from twofold.records.backtest import Figures, Label

RANGES: Final = {
    "alerts_per_day": (0.002, 1.0),
    "least_score": (2.0, 8.0),
    "persist_s": (5.0, 120.0),
    "recover_s": (15.0, 300.0),
    "warm_s": (60.0, 1800.0),
    "season_rate": (0.02, 0.5),
    "slow_s": (21_600.0, 600_000.0),
    "level_s": (300.0, 3600.0),
}
"""What a search may change, and how far."""
_SPREAD: Final = 0.6
_CHANGED: Final = 3
_FACTORS: Final = (2.0, 4.0)
_REPEAT: Final = 0.02
_UNSAID: Final = 0.005
_DELAY_S: Final = 6000.0
_DELAY_MOST: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Settings, and how they did on the past that may be learnt from.

    Attributes:
        loss: Smaller is better, see `loss_of`.
    """

    config: PanelConfig
    loss: float


def candidates(live: PanelConfig, many: int, seed: int, noisy: Sequence[str] = ()) -> Iterator[PanelConfig]:
    """The live settings, then changes of them; the same arguments give the same ones.

    Args:
        live: Where the search begins.
        many: Candidates besides the live one.
        seed: Of the draws.
        noisy: Metrics whose findings people called noise, most often first: half of the candidates ask more of one.
    """
    yield live
    draw = np.random.default_rng(seed)
    names = list(RANGES)
    for number in range(many):
        config = live
        if noisy and number % 2 == 0:
            metric = noisy[(number // 2) % len(noisy)]
            factor = _FACTORS[(number // 2 // len(noisy)) % len(_FACTORS)] * live.floor_factor(metric)
            kept = tuple(text for text in live.floors if not text.startswith(f"{metric}="))
            config = replace(config, floors=(*kept, f"{metric}={factor:g}"))
        if not noisy or number % 2 or number >= 2 * len(noisy):
            chosen = draw.choice(names, size=int(draw.integers(1, _CHANGED + 1)), replace=False)
            moved: dict[str, Any] = {name: _moved(live, name, draw) for name in chosen.tolist()}
            config = replace(config, **moved)
        yield config


def _moved(live: PanelConfig, name: str, draw: np.random.Generator) -> float:
    low, high = RANGES[name]
    value = float(getattr(live, name)) * float(np.exp(draw.normal(0.0, _SPREAD)))
    return float(f"{min(max(value, low), high):.3g}")


def loss_of(figures: Figures, noise_labels: int, days: float) -> float:
    """What a version got wrong: the share of judged incidents that it missed or paged falsely, then lesser evils.

    A page again for the same weighs a fiftieth of a miss, a page that nobody judged a two-hundredth a day, an hour of
    delay as much as a tenth of all.
    """
    judged = max(figures.labels + noise_labels, 1)
    false = min(figures.noise, noise_labels) if noise_labels else 0
    wrong = (figures.labels - figures.found + false) / judged
    unsaid = max(figures.pages - figures.found - figures.repeats - figures.noise, 0) / max(days, 1.0)
    late = min((figures.median_delay_s or 0.0) / _DELAY_S, _DELAY_MOST)
    return round(wrong + _REPEAT * figures.repeats / judged + _UNSAID * unsaid + late, 6)


def parted(labels: Sequence[Label], holdout: float) -> tuple[list[Label], list[Label]]:
    """Labels to learn from and, later in time, those that are only judged on; neither overlaps the other."""
    ordered = sorted(labels, key=lambda one: (one.start, one.name))
    cut = len(ordered) - max(round(len(ordered) * holdout), 1)
    held = ordered[cut:]
    return [one for one in ordered[:cut] if not held or one.end < held[0].start], held
