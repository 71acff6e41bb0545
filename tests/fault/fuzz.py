"""Fuzzes one decoder in a process of its own: `python -m tests.fault.fuzz <decoder> <seconds> <folder>`.

Where Atheris has a wheel (Linux, Python 3.11 to 3.14), libFuzzer mutates bytes and keeps those that reach code
that none reached before: our modules are instrumented when they are loaded, and comparisons tell it what they
were made with. Half of the mutations of JSON are made to its tree (`trees`), else no body would get past its parser.
Of the compiled walkers the sources are run by the interpreter (`interpreted`), and what they give is held against
protobuf. C code below ours (protobuf, orjson) gives no such feedback, but what we do with its results does.
Elsewhere mutations are blind: faults of real bodies, see `tests.unit.ingest.mutation`.

`TWOFOLD_FUZZ_SEED` makes the mutations repeat themselves, as the tests of every change want it; without it each run
looks elsewhere. Ends with 0 when nothing was found. A body that breaks something stays in the folder as `crash-…`.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any

from tests.fault.trees import Trees

FOUND = 77  # as libFuzzer ends
MAX_BYTES = 4096
SLOW_S = 20


def main(name: str, seconds: float, folder: Path) -> None:
    """Fuzz for some time."""
    warnings.simplefilter("ignore")
    try:
        import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - not everywhere
    except ImportError:
        _blind(name, seconds)
    else:
        _guided(atheris, name, seconds, folder)


def _guided(atheris: Any, name: str, seconds: float, folder: Path) -> None:
    with atheris.instrument_imports(include=["twofold"], enable_loader_override=False):
        if name.startswith("walker"):
            importlib.import_module("tests.fault.interpreted")
        from tests.fault.decoders import DECODERS, survives  # noqa: PLC0415 - instrumented as it is loaded
    decoder = DECODERS[name]()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(decoder.corpus):
        survives(decoder.work, body)
        (corpus / f"good-{number}").write_bytes(body)
    flags = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-timeout={SLOW_S}",
        f"-max_len={max(MAX_BYTES, *map(len, decoder.corpus))}",
        f"-artifact_prefix={folder}/",
        "-rss_limit_mb=4096",
        f"-seed={os.environ.get('TWOFOLD_FUZZ_SEED', '0')}",  # of 0 it makes one of its own
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    trees = Trees(decoder.corpus)
    mutate = lambda data, most: atheris.Mutate(data, most)  # noqa: E731, PLW0108 - `Fuzz` puts another one in its place
    more = {"custom_mutator": trees.mutator(mutate)} if trees else {}

    def one(data: bytes) -> None:
        try:
            survives(decoder.work, data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
            (folder / f"crash-{zlib.crc32(data):08x}").write_bytes(data)
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(FOUND)

    atheris.Setup([sys.argv[0], *flags, str(corpus)], one, **more)
    atheris.Fuzz()


def _blind(name: str, seconds: float) -> None:
    from tests.fault.decoders import DECODERS, survives  # noqa: PLC0415 - as above
    from tests.unit.ingest.mutation import mutated, repeatable  # noqa: PLC0415

    decoder, chance = DECODERS[name](), repeatable(3)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        body = mutated(decoder.corpus, chance)
        try:
            survives(decoder.work, body)
        except Exception:
            sys.stderr.write(f"broken by {body!r}\n")
            raise


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
