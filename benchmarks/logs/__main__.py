"""Log templates, side by side: `python -m benchmarks.logs [--quick] [--data DIR] [--json] [--prepare]`.

Accuracy on each labelled system, streaming, one configuration, `unseen` by models fitted without the system; speed on
a long mixed stream made from the same lines; novelty; memory. Peers run on the same lines where `make peers` was run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np

from benchmarks.logs import novelty, peers, search
from benchmarks.logs.data import System, default_folder, load
from benchmarks.logs.fit import examples_of, fit, judged
from benchmarks.logs.score import KEYS, score
from benchmarks.logs.sessions import sessions
from benchmarks.logs.stream import Lines, mixed
from twofold.aiops.detect.mining.merge import Logistic, fitted
from twofold.aiops.detect.mining.miner import Miner

LINES: Final = 1_000_000
PEER_LINES: Final = {"drain3": 200_000, "drain3 + masks": 200_000, "tipping": 200_000}
QUICK_PEER_LINES: Final = {"drain3": 40_000, "drain3 + masks": 40_000, "tipping": 100_000}
MEMORY: Final = (10_000_000, 100_000)
QUICK_MEMORY: Final = (1_000_000, 50_000)


def averaged(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over systems."""
    return {key: mean(row[key] for row in rows) for key in KEYS}


def accuracy(systems: Sequence[System]) -> dict[str, Any]:
    """Figures per system as shipped, their means, against the first labels, and of models fitted without the system."""
    rows = {system.name: judged(system, fitted()) for system in systems}
    first = [judged(system, fitted(), system.original) for system in systems]
    asked = {system.name: examples_of(system) for system in systems}
    unseen = [
        judged(system, Logistic(fit([each for name, each in asked.items() if name != system.name])))
        for system in systems
    ]
    return {
        **averaged(list(rows.values())),
        "unseen": averaged(unseen),
        "original_labels": averaged(first),
        "systems": rows,
    }


def speed(lines: Lines) -> dict[str, float]:
    """Lines a CPU second, learning from nothing and with all learnt: medians of three; compilation apart."""
    Miner().feed(lines.data, lines.offsets[:1000])
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(3):
        miner = Miner()
        for spent in (cold, warm):
            begin = time.process_time()
            ids = miner.feed(lines.data, lines.offsets)
            spent.append(time.process_time() - begin)
    found = {"lines_per_s": len(lines) / median(cold), "warm_lines_per_s": len(lines) / median(warm)}
    truth = [str(each) for each in lines.truth.tolist()]
    own = score(truth, miner.settled(ids).tolist(), truth)
    return {**found, "stream_ga": own["ga"], "stream_fga": own["fga"], "stream_lines": len(lines)}


def novel(systems: Sequence[System], seeds: range) -> dict[str, float]:
    """Novelty over all systems, and some choices of what is left out."""
    total = novelty.Novelty(0, 0, 0, 0)
    for system, seed in product(systems, seeds):
        given, miner = novelty.stream(system, seed=seed), Miner()
        miner.feed_texts(given.lines)
        total += novelty.judge(given, [fresh.line for fresh in miner.fresh])
    return total.figures()


def memory(lines: Lines, size: tuple[int, int]) -> dict[str, float]:
    """Memory in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.npz"
        count = min(len(lines), 100_000)
        np.savez(path, data=lines.data[: lines.offsets[count]], offsets=lines.offsets[: count + 1])
        command = [sys.executable, "-m", "benchmarks.logs.memory", *map(str, size), str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return {key: told[key] for key in ("memory_mb", "memory_half_mb")} | {"memory_lines": told["lines"]}


def beside(systems: Sequence[System], lines: Lines, sizes: dict[str, int]) -> dict[str, Any]:
    """What each peer makes of the same."""
    found = {}
    news = [novelty.stream(system) for system in systems]
    for name, size in sizes.items():
        streams = [list(system.content) for system in systems] + [lines.texts(min(size, len(lines)))]
        streams += [list(each.lines) for each in news] if name == "drain3 + masks" else []
        runs = peers.run(name, streams)
        rows = [score(s.truth, r.ids, r.texts()) for s, r in zip(systems, runs[: len(systems)], strict=True)]
        speed_run = runs[len(systems)]
        found[name] = {
            **averaged(rows),
            "lines_per_s": len(speed_run.ids) / speed_run.cpu_s,
            "sample_lines": len(speed_run.ids),
        }
        if len(runs) > len(systems) + 1:
            total = novelty.Novelty(0, 0, 0, 0)
            for given, told in zip(news, runs[len(systems) + 1 :], strict=True):
                total += novelty.judge(given, told.new)
            found[name] |= total.figures()
    return found


def run(folder: Path, *, quick: bool, model: Path | None = None) -> dict[str, Any]:
    """Everything."""
    systems = load(folder)
    lines = mixed(systems, LINES)
    found = {**accuracy(systems), **speed(lines), **novel(systems, range(1 if quick else 3))}
    found |= memory(lines, QUICK_MEMORY if quick else MEMORY)
    found |= search.figures(systems, model) | sessions(folder)
    if peers.available():
        found["peers"] = beside(systems, lines, QUICK_PEER_LINES if quick else PEER_LINES)
        speeds = {name: row["lines_per_s"] for name, row in found["peers"].items()}
        found["vs_drain3"] = found["lines_per_s"] / speeds["drain3"]
        found["vs_drain3_masks"] = found["lines_per_s"] / speeds["drain3 + masks"]
        found["vs_tipping"] = found["lines_per_s"] / speeds["tipping"]
    return found


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    rows = [(name, row) for name, row in found["systems"].items()]
    rows += [("mean", found), ("unseen", found["unseen"]), ("first labels", found["original_labels"])]
    rows += list(found.get("peers", {}).items())
    lines = [f"{'':16s}{'GA':>7s}{'FGA':>7s}{'PA':>7s}{'FTA':>7s}{'lines/s':>12s}"]
    for name, row in rows:
        rate = f"{row['lines_per_s']:12,.0f}" if "lines_per_s" in row else ""
        lines.append(f"{name:16s}" + "".join(f"{row[key]:7.3f}" for key in KEYS) + rate)
    shown: tuple[str, ...] = ("warm_lines_per_s", "vs_drain3", "vs_drain3_masks", "vs_tipping", "stream_ga")
    shown += ("novelty_recall", "false_per_100k", "memory_mb", "memory_lines", "hdfs_f1")
    shown += tuple(sorted(key for key in found if key.startswith("search")))
    lines += [f"{key:20s}{found[key]:14,.3f}" for key in shown if key in found]
    samples = {name: row["sample_lines"] for name, row in found.get("peers", {}).items()}
    lines.append(
        f"CPU seconds on one core, compilation apart; {found['stream_lines']:,} lines; peers on the first {samples}"
    )
    if not samples:
        lines.append("no peers: `make peers` sets them up")
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logs", description=__doc__)
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder with <System>_2k.* files")
    parser.add_argument("--quick", action="store_true", help="peers and memory on a sample; under 45 s once prepared")
    parser.add_argument("--model", type=Path, help="folder of an embedding model, for search (twofold[embed])")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--prepare", action="store_true", help="make the long stream, compile the kernels and end")
    args = parser.parse_args()
    if args.prepare:
        speed(mixed(load(args.data), LINES))
        return
    found = run(args.data, quick=args.quick, model=args.model)
    print(json.dumps(found) if args.json else table_of(found))


if __name__ == "__main__":
    main()
