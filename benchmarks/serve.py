"""Serving one scikit-learn model: our data plane against FastAPI with pydantic, in the same run.

Both run as a process of their own under the same uvicorn, answer the same requests of one row over
keep-alive connections, and load the same model file. What counts is the processor time a request
costs beside the model's own, and the latency a client sees. Ours also logs every prediction.

    python benchmarks/serve.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = ("price", "discount", "rating", "popularity", "basket_value", "hour")
ROW = (24.5, 0.1, 4.2, 0.3, 38.0, 15.5)
CONNECTIONS = 4
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one server did."""

    name: str
    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    model_cpu_ms: float
    beside_model_cpu_ms: float


def train(folder: Path) -> None:
    """Put a released model into stores below the folder."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only the first process trains
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - the same
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - the same

    from twofold.mlops import formats  # noqa: PLC0415 - the same
    from twofold.mlops.registry.registry import Registry  # noqa: PLC0415 - the same
    from twofold.mlops.release.releases import Releases  # noqa: PLC0415 - the same
    from twofold.records.model import Candidate, Field, GateResult, ModelKind, ReleaseStage  # noqa: PLC0415 - the same
    from twofold.store.blobs.files import FileBlobs  # noqa: PLC0415 - the same
    from twofold.store.ledger.sql import open_ledger  # noqa: PLC0415 - the same

    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, len(FIELDS))) * ROW + ROW
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, random.integers(0, 2, 2000))
    name, data = formats.dump(model)
    (folder / "model.skops").write_bytes(data)
    ledger, blobs = open_ledger(folder / "ledger.sqlite"), FileBlobs(folder / "blobs")
    candidate = Candidate(
        model="bench",
        kind=ModelKind.SERVED,
        format=name,
        artifact=blobs.add(data),
        inputs=tuple(Field(name=field, datatype="FP64") for field in FIELDS),
        outputs=(Field(name="score", datatype="FP64"),),
    )
    gate = GateResult(name="none", passed=True, value=0, limit=0, text="a benchmark judges nothing")
    Registry(ledger, blobs).register(candidate, (gate,))
    Releases(ledger).release("bench", "1", ReleaseStage.LIVE, approver="benchmark", reason="to be measured")
    ledger.close()


def ours(folder: Path) -> Any:
    """Our data plane as an application."""
    from starlette.applications import Starlette  # noqa: PLC0415 - in the server's process only

    from twofold.mlops.serve.plane import DataPlane  # noqa: PLC0415 - the same
    from twofold.mlops.serve.routes import routes  # noqa: PLC0415 - the same
    from twofold.store.blobs.files import FileBlobs  # noqa: PLC0415 - the same
    from twofold.store.ledger.sql import open_ledger  # noqa: PLC0415 - the same

    plane = DataPlane(open_ledger(folder / "ledger.sqlite"), FileBlobs(folder / "blobs"), lambda batch: batch.num_rows)
    plane.start()
    while not plane.ready:
        time.sleep(0.05)
    return Starlette(routes=routes(plane))


def peer(folder: Path) -> Any:
    """The same protocol as most people would write it: FastAPI, pydantic models, scikit-learn as it is."""
    import skops.io  # noqa: PLC0415 - in the server's process only
    from fastapi import FastAPI  # noqa: PLC0415 - the same
    from pydantic import BaseModel  # noqa: PLC0415 - the same

    class Tensor(BaseModel):
        name: str
        shape: list[int]
        datatype: str
        data: list[float]

    class Request(BaseModel):
        id: str = ""
        inputs: list[Tensor]

    class Response(BaseModel):
        model_name: str
        model_version: str
        id: str
        outputs: list[Tensor]

    model = skops.io.loads((folder / "model.skops").read_bytes())
    application = FastAPI()

    async def infer(request: Request) -> Response:
        by_name = {tensor.name: tensor for tensor in request.inputs}
        rows = np.column_stack([by_name[field].data for field in FIELDS])
        scores = model.predict_proba(rows)[:, 1].tolist()
        score = Tensor(name="score", shape=[len(scores)], datatype="FP64", data=scores)
        return Response(model_name="bench", model_version="1", id=request.id, outputs=[score])

    infer.__annotations__ = {"request": Request, "return": Response}
    application.post("/v2/models/bench/infer")(infer)
    return application


def model_cpu_ms(folder: Path, *, as_served: bool) -> float:
    """Processor time of one prediction alone, median of 15 rounds."""
    from twofold.mlops import formats  # noqa: PLC0415 - heavy

    predictor: Any = formats.load("skops", (folder / "model.skops").read_bytes())
    call = predictor.predict if as_served else predictor.model.predict_proba
    row = np.array([ROW])
    rounds = []
    for _ in range(15):
        start = time.process_time()
        for _ in range(100):
            call(row)
        rounds.append((time.process_time() - start) * 10)
    return float(np.median(rounds))


async def load(port: int, seconds: float) -> list[float]:
    """Latencies of requests sent one after the other over a few connections."""
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(FIELDS, ROW, strict=True)
    ]
    body = json.dumps({"id": "42", "inputs": inputs}).encode()
    head = (
        "POST /v2/models/bench/infer HTTP/1.1",
        "Host: b",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    message = "\r\n".join([*head, "", ""]).encode() + body
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            content = await reader.readexactly(length)
            taken.append(time.perf_counter() - start)
            if b" 200 " not in answer[:20] or b'"score"' not in content:
                raise RuntimeError(f"unexpected answer: {answer[:100]!r} {content[:200]!r}")
        writer.close()

    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return taken


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(name: str, folder: Path, seconds: float) -> Result:
    """Start a server, warm it up, load it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--serve", name, "--folder", str(folder), "--port", str(port)]
    with subprocess.Popen(command, env=environment) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            asyncio.run(load(port, min(2.0, seconds)))
            before, start = cpu_s(server.pid), time.perf_counter()
            taken = asyncio.run(load(port, seconds))
            elapsed, used = time.perf_counter() - start, cpu_s(server.pid) - before
        finally:
            server.terminate()
    own = model_cpu_ms(folder, as_served=name == "twofold")
    return Result(
        name=name,
        requests=len(taken),
        requests_per_s=len(taken) / elapsed,
        p50_ms=float(np.quantile(taken, 0.5)) * 1000,
        p99_ms=float(np.quantile(taken, 0.99)) * 1000,
        cpu_ms=used / len(taken) * 1000,
        model_cpu_ms=own,
        beside_model_cpu_ms=used / len(taken) * 1000 - own,
    )


def table(results: list[Result]) -> str:
    """Results as text, and the ratio that matters."""
    lines = [f"{'':18}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'model ms':>10}{'beside ms':>11}"]
    lines += [
        f"{one.name:18}{one.requests_per_s:9.0f}{one.p50_ms:9.2f}{one.p99_ms:9.2f}{one.cpu_ms:9.3f}"
        f"{one.model_cpu_ms:10.3f}{one.beside_model_cpu_ms:11.3f}"
        for one in results
    ]
    mine, other = results
    ratio = other.beside_model_cpu_ms / mine.beside_model_cpu_ms
    return "\n".join([*lines, f"FastAPI + pydantic costs {ratio:.2f} times our processor time beside the model"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 seconds a server instead of 15")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--serve", choices=["twofold", "fastapi"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        import uvicorn  # noqa: PLC0415 - in the server's process only

        application = ours(chosen.folder) if chosen.serve == "twofold" else peer(chosen.folder)
        uvicorn.run(application, host="127.0.0.1", port=chosen.port, log_level="warning", access_log=False)
        return
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as name:
        folder = Path(name)
        train(folder)
        results = [measure(server, folder, 3.0 if chosen.quick else 15.0) for server in ("twofold", "fastapi")]
    print(table(results))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(one) for one in results], indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
