"""Memory of the miner over a long stream with junk: `python -m benchmarks.logs.memory LINES JUNK FILE`.

Runs in a process of its own, so that the figure is the miner's: resident memory at its highest, less what was there
before the miner was made. Junk is lines of random words, each of a shape of its own, spread over the stream.
"""

from __future__ import annotations

import json
import random
import string
import sys
from pathlib import Path

import numpy as np

from twofold.aiops.detect.mining.miner import Miner

ROUNDS = 100
MB = 1 << 20


def resident() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MB


def junk(pick: random.Random, lines: int) -> list[str]:
    """Lines that nobody will write again."""
    return [
        " ".join(
            "".join(pick.choices(string.ascii_lowercase, k=pick.randint(3, 9))) for _ in range(pick.randint(3, 10))
        )
        for _ in range(lines)
    ]


def main() -> None:
    """Feed, watch, print."""
    lines, shapes = int(sys.argv[1]), int(sys.argv[2])
    with np.load(sys.argv[3], allow_pickle=False) as kept:
        data, offsets = kept["data"], kept["offsets"]
    Miner().feed(data, offsets[:1000])
    pick = random.Random(1)  # noqa: S311 - no secret
    before, most, half = resident(), 0.0, 0.0
    miner = Miner()
    for turn in range(ROUNDS):
        rest = lines // ROUNDS
        while rest > 0:
            part = offsets[: min(rest, len(offsets) - 1) + 1]
            miner.feed(data, part)
            rest -= len(part) - 1
        miner.feed_texts(junk(pick, shapes // ROUNDS))
        most = max(most, resident() - before)
        if turn == ROUNDS // 2:
            half = most
    print(json.dumps({"memory_mb": most, "memory_half_mb": half, "lines": miner.lines, "evicted": miner.book.evicted}))


if __name__ == "__main__":
    main()
