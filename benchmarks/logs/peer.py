"""Runs inside a peer's own environment: `python peer.py NAME IN OUT`; needs nothing of Twofold.

IN holds a JSON list of streams, each a list of lines; OUT gets, per stream, an id and a template per line, the lines
at which a template appeared, and CPU seconds. A peer starts anew with each stream.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
]
"""The masks of drain3's own example configuration."""


def drain3(lines: list[str], *, masked: bool) -> dict[str, Any]:
    """One pass of drain3, default or with its example masks."""
    from drain3 import TemplateMiner  # type: ignore[import-not-found]  # noqa: PLC0415 - stands in the peer's environment
    from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    from drain3.template_miner_config import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        TemplateMinerConfig,
    )

    config = TemplateMinerConfig()
    if masked:
        config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in MASKS]
    miner = TemplateMiner(config=config)
    begin = time.process_time()
    found = [miner.add_log_message(line) for line in lines]
    cpu_s = time.process_time() - begin
    texts = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    ids = [each["cluster_id"] for each in found]
    new = [i for i, each in enumerate(found) if each["change_type"] == "cluster_created"]
    return {"ids": ids, "templates": {str(k): wild(v) for k, v in texts.items()}, "new": new, "cpu_s": cpu_s}


def wild(template: str) -> str:
    """Its named wildcards as `<*>`."""
    for name in ("ID", "IP", "SEQ", "HEX", "NUM"):
        template = template.replace(f"<{name}>", "<*>")
    return template


def tipping(lines: list[str]) -> dict[str, Any]:
    """One batch of tipping, with the masks above as parameters. It knows no stream: nothing is ever new."""
    import tipping as peer  # type: ignore[import-not-found]  # noqa: PLC0415 - stands in the peer's environment

    begin = time.process_time()
    ids, _, _ = peer.parse(
        lines,
        special_blacks=[r"\d+\.\d+\.\d+\.\d+", r"0x[0-9a-fA-F]+", r"\d+"],
        return_templates=False,
        return_masks=False,
    )
    cpu_s = time.process_time() - begin
    return {"ids": [-1 if each is None else each for each in ids], "templates": {}, "new": [], "cpu_s": cpu_s}


def main() -> None:
    """Read, run, write."""
    name, source, target = sys.argv[1:]
    run = {
        "drain3": lambda lines: drain3(lines, masked=False),
        "drain3 + masks": lambda lines: drain3(lines, masked=True),
        "tipping": tipping,
    }[name]
    Path(target).write_text(json.dumps([run(lines) for lines in json.loads(Path(source).read_text())]))


if __name__ == "__main__":
    main()
