"""Fits the model that decides on merges: `python -m benchmarks.logs.fit [--data DIR] [--write]`.

Lines of each system are mined with a teacher in the judge's place, who merges exactly when the labels do. Every
question it is asked becomes an example. The streams are the labelled lines in their order, in two other orders, and
1,500 lines drawn from them. Each system weighs the square root of its examples. The weights are pulled towards `PRIOR`
(what we hold true of logs in general) by a ridge: the examples are few. It prints figures of each system judged by the
model fitted without it, and with `--write` stores the model of all systems.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.logs.data import System, default_folder, load
from benchmarks.logs.expand import Expander
from benchmarks.logs.score import KEYS, score
from twofold.aiops.detect.mining import merge
from twofold.aiops.detect.mining.features import NAMES, Group, features
from twofold.aiops.detect.mining.merge import Logistic, rule
from twofold.aiops.detect.mining.miner import Miner
from twofold.stats.text.lines import HOLE

PRIOR: Final = {
    "bias": -1.0, "values": 0.4, "known": -0.5, "log_words": -1.5, "dotted": 1.0, "number": 1.5, "name_before": 2.5,
    "word_before": 1.0, "first": -1.5, "taken": 1.5,
}  # fmt: skip
RIDGE: Final = 5.0
STIFF: Final = {"bias": 0.1, "values": 50.0, "others": 50.0, "per_value": 50.0, "top_share": 50.0}
"""Own ridges. Counts stay near what we hold true: the examples end at a dozen values, live streams do not."""
DRAWN: Final = 1500
WEIGHT: Final = 200.0
STEPS: Final = 80
MODEL: Final = Path(merge.__file__).with_name("merge.json")

Floats = npt.NDArray[np.float64]
Examples = list[tuple[Floats, float]]


class Teacher:
    """Merges when the labels do, and keeps what it was asked."""

    def __init__(self) -> None:
        self.labels: dict[int, set[str]] = defaultdict(set)
        self.now = ""
        self.examples: Examples = []

    def __call__(self, group: Group) -> float:
        """1 when the labels are one, else 0."""
        ruled = rule(group)
        if ruled is not None:
            return ruled
        labels = {label for member in group.members() for label in self.labels.get(member.id) or {self.now}}
        if _differ_in_one(group):
            self.examples.append((features(group), float(len(labels) == 1)))
        return float(len(labels) == 1)


def _differ_in_one(group: Group) -> bool:
    """Whether nothing but the place tells the members apart: of two words the label says not which is meant."""
    first, second = group.newest.symbols, group.others[0].symbols
    return int(((first != second) & (first != HOLE) & (second != HOLE)).sum()) == 1


def examples(lines: Sequence[tuple[str, str]]) -> Examples:
    """Questions that come up while these lines, with their labels, are mined."""
    teacher = Teacher()
    miner = Miner(judge=teacher)
    for text, label in lines:
        teacher.now = label
        found = miner.book.settle(int(miner.feed_texts([text])[0]))
        for former in [each for each in teacher.labels if miner.book.settle(each) != each]:
            teacher.labels[miner.book.settle(former)] |= teacher.labels.pop(former)
        teacher.labels[found].add(label)
    return teacher.examples


def examples_of(system: System) -> Examples:
    """Questions of one system, over all its streams."""
    lines = list(zip(system.content, system.truth, strict=True))
    rng, expander = np.random.default_rng(0), Expander(system, 1)
    streams = [lines, *([lines[i] for i in rng.permutation(len(lines))] for _ in range(2))]
    streams.append([expander.draw() for _ in range(DRAWN)])
    return [example for stream in streams for example in examples(stream)]


def fit(questions: Sequence[Examples]) -> dict[str, float]:
    """Weights by Newton's method."""
    asked = [each for each in questions if each]
    x = np.array([features_ for each in asked for features_, _ in each])
    y = np.array([answer for each in asked for _, answer in each])
    weight = np.concatenate([np.full(len(each), len(each) ** -0.5) for each in asked])
    weight *= WEIGHT / weight.sum()
    prior = np.array([PRIOR.get(name, 0.0) for name in NAMES])
    ridge = np.array([STIFF.get(name, RIDGE) for name in NAMES])
    found = prior.copy()
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (weight * (p - y)) + ridge * (found - prior)
        found -= np.linalg.solve((x.T * (weight * p * (1 - p))) @ x + np.diag(ridge), slope)
    return dict(zip(NAMES, found.round(4).tolist(), strict=True))


def judged(system: System, judge: Logistic, truth: Sequence[str] = ()) -> dict[str, float]:
    """Figures of one system under a model, against the corrected labels unless others are given."""
    miner = Miner(judge=judge)
    ids = miner.settled(miner.feed_texts(system.content)).tolist()
    return score(truth or system.truth, ids, [miner.template(each).text() for each in ids])


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logs.fit", description=__doc__)
    parser.add_argument("--data", type=Path, default=default_folder())
    parser.add_argument("--write", action="store_true", help=f"store the model in {MODEL.name}")
    args = parser.parse_args()
    systems = load(args.data)
    asked = {system.name: examples_of(system) for system in systems}
    rows = {}
    for system in systems:
        others = fit([each for name, each in asked.items() if name != system.name])
        rows[system.name] = judged(system, Logistic(others))
    rows["unseen"] = {key: mean(row[key] for row in rows.values()) for key in KEYS}
    weights = fit(list(asked.values()))
    own = [judged(system, Logistic(weights)) for system in systems]
    rows["seen"] = {key: mean(row[key] for row in own) for key in KEYS}
    for name, row in rows.items():
        print(f"{name:12s}", "  ".join(f"{key} {row[key]:.3f}" for key in KEYS))
    if args.write:
        told = {
            "how": "python -m benchmarks.logs.fit --write",
            "on": {name: len(each) for name, each in asked.items()},
            "unseen": {key: round(value, 4) for key, value in rows["unseen"].items()},
            "prior": PRIOR,
            "ridge": RIDGE,
            "weights": weights,
        }
        MODEL.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
