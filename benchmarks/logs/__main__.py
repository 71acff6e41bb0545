"""Log templates, side by side: `python -m benchmarks.logs [--quick] [--data DIR] [--json]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.logs.data import System, default_folder, load
from benchmarks.logs.score import KEYS, score
from twofold.aiops.detect.mining.miner import Miner


def judge(system: System) -> dict[str, float]:
    """Figures of one system, mined from its first line on."""
    miner = Miner()
    ids = miner.settled(miner.feed_texts(system.content)).tolist()
    return score(system.truth, ids, [miner.template(each).text() for each in ids])


def run(folder: Path) -> dict[str, Any]:
    """All systems of a folder."""
    systems = {system.name: judge(system) for system in load(folder)}
    return {**{key: mean(row[key] for row in systems.values()) for key in KEYS}, "systems": systems}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logs", description=__doc__)
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder with <System>_2k.* files")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    args = parser.parse_args()
    found = run(args.data)
    if args.json:
        print(json.dumps(found))
        return
    for name, row in [*found["systems"].items(), ("mean", found)]:
        print(f"{name:12s}", "  ".join(f"{key} {row[key]:.3f}" for key in KEYS))


if __name__ == "__main__":
    main()
