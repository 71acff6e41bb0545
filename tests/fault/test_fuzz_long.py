"""Four minutes of mutated bytes for each decoder, by the fuzz that `make test` runs for seconds (`TWOFOLD_FUZZ_S`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 240
DECODERS = 40  # with room


@pytest.mark.long
@pytest.mark.timeout(SECONDS * DECODERS)
def test_every_decoder_survives_four_minutes() -> None:
    """Mutations of real bodies; not guided by coverage."""
    command = [sys.executable, "-m", "pytest", "tests/unit/ingest/test_fuzz.py", "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "--timeout", str(SECONDS * 2)],
        env={**os.environ, "TWOFOLD_FUZZ_S": str(SECONDS)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-5000:]
