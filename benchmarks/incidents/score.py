"""Scorers, from the published definitions: ranks of the true cause, and agreement of a grouping with the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import comb
from statistics import mean

Ranking = Sequence[tuple[str, float]]

OUTSIDE_MEAN = "rootcausebench"
"""Its suspects are commits, so it stays out of the mean over systems."""
UNLISTED = 10**6


def worst_rank(ranked: Ranking, true: str) -> int:
    """Place of the true cause; ties count at their worst place, an unlisted cause last.

    >>> worst_rank([("a", 2.0), ("b", 1.0), ("c", 1.0)], "b")
    3
    """
    scores = dict(ranked)
    if true not in scores:
        return UNLISTED
    return sum(value >= scores[true] for value in scores.values())


def rank_scores(places: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """Per system and as the mean over systems: share of cases with the cause among the first k.

    >>> rank_scores({"x": [1, 3], "y": [2, 7]})["macro"]
    {'ac1': 0.25, 'ac3': 0.75, 'avg5': 0.6}
    """
    result = {}
    for system, found in sorted(places.items()):
        hit = [mean(float(place <= k) for place in found) for k in range(1, 6)]
        result[system] = {"cases": float(len(found)), "ac1": hit[0], "ac3": hit[2], "avg5": mean(hit)}
    rows = [row for system, row in result.items() if system != OUTSIDE_MEAN]
    if rows:
        result["macro"] = {key: round(mean(row[key] for row in rows), 4) for key in ("ac1", "ac3", "avg5")}
    return result


def rand_index(true: Sequence[str], found: Sequence[str]) -> float:
    """Adjusted Rand index: 1 for the same partition, about 0 for a random one (Hubert and Arabie, 1985).

    >>> rand_index(["a", "a", "b", "b"], ["x", "x", "y", "y"])
    1.0
    """
    both = sum(comb(n, 2) for n in Counter(zip(true, found, strict=True)).values())
    left = sum(comb(n, 2) for n in Counter(true).values())
    right = sum(comb(n, 2) for n in Counter(found).values())
    expected = left * right / comb(len(true), 2)
    most = (left + right) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def group_scores(faults: Sequence[str], groups: Sequence[str], noise: str = "noise") -> dict[str, float]:
    """Agreement without the noise rows; compression over all rows, groups a fault without noise."""
    real = [(fault, group) for fault, group in zip(faults, groups, strict=True) if fault != noise]
    true, found = [fault for fault, _ in real], [group for _, group in real]
    pairs = sum(comb(n, 2) for n in Counter(real).values())
    same = sum(comb(n, 2) for n in Counter(true).values()) + sum(comb(n, 2) for n in Counter(found).values())
    return {
        "ari": rand_index(true, found),
        "pair_f1": 2 * pairs / max(same, 1),
        "compression": len(faults) / len(set(groups)),
        "groups_per_fault": len(set(found)) / len(set(true)),
    }


def mean_rows(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Means over the replays of each gap."""
    result: dict[str, dict[str, float]] = defaultdict(dict)
    for name, found in sorted(rows.items()):
        for key in found[0]:
            result[name][key] = mean(row[key] for row in found)
    return dict(result)
