"""Whether templates that differ in one word are one template with a variable there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from math import exp
from typing import Final

import numpy as np

from twofold.aiops.detect.mining.features import NAMES, Group, features
from twofold.errors import ConfigError
from twofold.stats.text.lines import HOLE, WILD

MANY: Final = 32
"""So many different words at one place are a variable, whatever they look like."""

Judge = Callable[[Group], float]
"""Gives the probability that a group is one template."""


def rule(group: Group) -> float | None:
    """What needs no judgement: a hole takes every word, something must stay besides, many are a variable; else None."""
    rest = [s for at, s in enumerate(group.newest.symbols.tolist()) if at != group.place]
    if all(s in {HOLE, WILD} for s in rest):
        return 0.0
    if len(group.others) >= MANY or any(int(m.symbols[group.place]) == HOLE for m in group.members()):
        return 1.0
    return None


class Logistic:
    """A logistic model over the features of a group; `rule` goes first.

    Args:
        weights: By name of the feature; absent ones count 0.

    Raises:
        ConfigError: A weight of a feature that does not exist.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        if unknown := set(weights) - set(NAMES):
            raise ConfigError(f"no feature is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
        self._weights = np.array([weights.get(name, 0.0) for name in NAMES])

    def __call__(self, group: Group) -> float:
        """Probability that the group is one template."""
        ruled = rule(group)
        return 1 / (1 + exp(-float(features(group) @ self._weights))) if ruled is None else ruled


def fitted() -> Logistic:
    """The model as fitted by `python -m benchmarks.logs.fit`; `merge.json` says on what."""
    data = json.loads(resources.files("twofold.aiops.detect.mining").joinpath("merge.json").read_text())
    return Logistic(data["weights"])
