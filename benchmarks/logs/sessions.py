"""Odd sessions of HDFS: block by block, judged by one fixed threshold, without labels, the later half counts.

A session is the lines of one block; it is judged when its last line has come, by what came before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from benchmarks.logs.score import f1
from twofold.aiops.detect.mining.miner import Miner
from twofold.aiops.detect.mining.sessions import Sessions

THRESHOLD: Final = 0.03
EVENTS, LABELS = "hdfs2pct_events.parquet", "hdfs2pct_labels.parquet"


def sessions(folder: Path) -> dict[str, float]:
    """F1 over the later half of the sessions; nothing when the folder has none."""
    if not (folder / EVENTS).exists():
        return {}
    events, labels = pq.read_table(folder / EVENTS), pq.read_table(folder / LABELS)
    odd = dict(zip(labels["seq_id"].to_pylist(), labels["anomaly"].to_pylist(), strict=True))
    blocks = events["seq_id"].to_pylist()
    miner = Miner()
    ids = miner.settled(miner.feed_texts(events["m_message"].to_pylist())).tolist()
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for block, identity in zip(blocks, ids, strict=True):
        lines[block][f"{identity:016x}"] += 1
    last = {block: i for i, block in enumerate(blocks)}
    order = sorted(lines, key=last.__getitem__)
    scorer = Sessions()
    told = [scorer.score(lines[block]) < THRESHOLD for block in order][len(order) // 2 :]
    true = [odd[block] for block in order][len(order) // 2 :]
    return {"hdfs_f1": f1(sum(a and b for a, b in zip(told, true, strict=True)), sum(told), sum(true))}
