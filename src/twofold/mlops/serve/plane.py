"""The one data plane: a request's bytes in, a response's bytes out. Transports above it only parse and map errors."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import InputError, Overloaded, Permanent, TwofoldError
from twofold.mlops.serve import metrics, protocol
from twofold.mlops.serve.log import Entry, PredictionLog
from twofold.mlops.serve.models import Loaded, Models
from twofold.mlops.serve.protocol import Columns, Document
from twofold.records.entity import DEFAULT_TENANT
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How the data plane serves."""

    poll_s: float = 0.5
    """How often the release ledger is looked at."""
    inline_rows: int = 32
    """Requests up to this size are answered on the event loop, larger ones in a thread."""
    max_waiting: int = 64
    """Larger requests that may wait for a thread; more are answered 429."""
    threads: int = 2
    """Threads for larger requests."""
    shadow_waiting: int = 256
    """Requests that may wait for shadows; more are not copied, and counted."""
    log_rows: int = 100_000
    """Prediction log rows that may wait for the journal; more are dropped, and counted."""


class ModelFailed(Permanent):
    """The model raised on inputs that fit its declaration."""


class DataPlane:
    """Serves what the release ledger says, and logs every prediction.

    Args:
        ledger: Followed for releases.
        blobs: Model files.
        on_predictions: Takes batches of schema `PREDICTIONS`, from a thread of the log.
        config: See `Config`.
        tenant: Whose models.
    """

    def __init__(
        self,
        ledger: Ledger,
        blobs: Blobs,
        on_predictions: Callable[[pa.RecordBatch], object],
        config: Config | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._config = config or Config()
        self.models = Models(ledger, blobs, tenant=tenant)
        self._log = PredictionLog(on_predictions, limit_rows=self._config.log_rows)
        self._threads = ThreadPoolExecutor(self._config.threads, thread_name_prefix="infer")
        self._waiting = 0
        self._shadows: queue.Queue[tuple[Loaded, Document, str] | None] = queue.Queue(self._config.shadow_waiting)
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="model-watcher", daemon=True)
        self._shadower = threading.Thread(target=self._shadow, name="shadow-models", daemon=True)

    def start(self) -> None:
        """Begin to follow releases. Models load in the background; `ready` says when."""
        self._log.start()
        self._watcher.start()
        self._shadower.start()

    def close(self) -> None:
        """Stop, handing on what the log holds."""
        self._stop.set()
        self._shadows.put(None)
        for thread in (self._watcher, self._shadower):
            if thread.is_alive():  # it never was where start-up failed before
                thread.join(10)
        self._threads.shutdown()
        self._log.close()

    @property
    def ready(self) -> bool:
        """Whether the releases have been read and every released model could be loaded."""
        return self.models.ready and not self.models.failures

    async def infer(self, model: str, version: str, body: bytes, request_id: str = "") -> bytes:
        """Answer one request. `version` may be empty; `request_id` is used where the body has none.

        Raises:
            NotFound: No such model or version.
            InputError: The inputs do not fit.
            Overloaded: Too many large requests wait.
            ModelFailed: The model raised.
        """
        document = protocol.parse(body)
        request_id = document.id or request_id or uuid4().hex
        loaded = self.models.choose(model, version, request_id)
        columns = protocol.columns(document, loaded.version.inputs)
        if len(columns.matrix) <= self._config.inline_rows:
            outputs = self._predict(loaded, columns, request_id)
        else:
            outputs = await self._in_thread(loaded, columns, request_id)
        found = protocol.answer(loaded.version, request_id, outputs, document.wanted)
        if not version:
            self._copy(model, document, request_id)
        return found

    async def _in_thread(self, loaded: Loaded, columns: Columns, request_id: str) -> npt.NDArray[np.float64]:
        if self._waiting >= self._config.max_waiting:
            raise Overloaded(
                f"{self._waiting} large requests wait, limit {self._config.max_waiting}; send fewer rows or later"
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._predict, loaded, columns, request_id)
        finally:
            self._waiting -= 1

    def _predict(self, loaded: Loaded, columns: Columns, request_id: str) -> npt.NDArray[np.float64]:
        version, stage = loaded.version, loaded.stage.value
        time_ns, start = time.time_ns(), time.perf_counter_ns()
        failed = ""
        try:
            outputs = loaded.predictor.predict(columns.matrix)
            if outputs.shape != (len(columns.matrix), len(version.outputs)):
                failed = f"it gave outputs of shape {outputs.shape}"
        except Exception as error:  # a model is foreign code behind a boundary; whatever it raises is its failure
            LOG.exception("%s raised", version.id)
            failed = f"{type(error).__name__}: {error}"
        latency_ns = time.perf_counter_ns() - start
        if failed:
            outputs = np.empty((len(columns.matrix), 0))
            metrics.FAILED.labels(version.model, version.version, stage).inc()
        else:
            metrics.REQUESTS.labels(version.model, version.version, stage).inc()
            metrics.SECONDS.labels(version.model).observe(latency_ns / 1e9)
        self._log.add(
            Entry(
                time_ns,
                version.model,
                version.version,
                stage,
                request_id,
                latency_ns,
                columns.numbers,
                columns.texts,
                outputs,
            )
        )
        if failed:
            raise ModelFailed(
                f"{version.id} failed on valid inputs: {failed}", model=version.model, version=version.version
            )
        return outputs

    def _copy(self, model: str, document: Document, request_id: str) -> None:
        """Give shadows their copy, after the answer is made; never waits."""
        for shadow in self.models.route(model).shadows:
            try:
                self._shadows.put_nowait((shadow, document, request_id))
            except queue.Full:
                metrics.SHADOW_DROPPED.inc()

    def _shadow(self) -> None:
        while (waiting := self._shadows.get()) is not None:
            loaded, document, request_id = waiting
            try:
                self._predict(loaded, protocol.columns(document, loaded.version.inputs), request_id)
            except (ModelFailed, InputError) as error:
                metrics.REJECTED.labels("shadow").inc()
                LOG.warning("shadow %s has no answer: %s", loaded.version.id, error.message)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.models.refresh()
            except TwofoldError as error:
                LOG.warning("the release ledger cannot be read, served versions stay: %s", error.message)
            self._stop.wait(self._config.poll_s)


def refused(error: TwofoldError) -> None:
    """Count a refused request by its reason."""
    reason = error.reason if isinstance(error, InputError) else type(error).__name__
    metrics.REJECTED.labels(reason).inc()
