"""How Twofold itself does: rates, lags and what is wrong, for `/metrics`, `/readyz` and the first page."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from twofold.api.services import Pulse
from twofold.flow.recorder import Recorder
from twofold.flow.runner import Runner
from twofold.mlops.serve.plane import DataPlane

_EVERY_S: Final = 5.0


class Pulses:
    """Samples the running parts every few seconds. See `api.services.PulsePort`."""

    def __init__(
        self, runners: Sequence[Runner], recorder: Recorder, plane: DataPlane, registry: CollectorRegistry
    ) -> None:
        self._runners = runners
        self._recorder = recorder
        self._plane = plane
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._rate = 0.0
        registry.register(self)

    def start(self) -> None:
        """Begin to sample."""
        self._thread = threading.Thread(target=self._loop, name="pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def pulse(self) -> Pulse:
        """Rates and lags now."""
        newest_ns = max((runner.progress.event_ns for runner in self._runners), default=0)
        lag_s = max(0.0, time.time() - newest_ns / 1e9) if newest_ns else 0.0
        return Pulse(points_per_s=self._rate, lag_s=lag_s)

    def problems(self) -> Mapping[str, str]:
        """Part name to what is wrong with it; empty means ready."""
        found = {f"pipeline-{n}": str(r.failure) for n, r in enumerate(self._runners) if r.failure is not None}
        if self._recorder.failure is not None:
            found["history"] = str(self._recorder.failure)
        if not self._plane.ready:
            failures = self._plane.models.failures
            found["serving"] = "; ".join(f"{model}: {why}" for model, why in failures.items()) or "models are loading"
        return found

    def collect(self) -> Sequence[Metric]:
        """Self metrics, for Prometheus."""
        frames = CounterMetricFamily(
            "twofold_pipeline_frames", "Frames pushed through the stages", labels=["partition"]
        )
        rows = CounterMetricFamily("twofold_pipeline_rows", "Rows pushed through the stages", labels=["partition"])
        poisoned = CounterMetricFamily(
            "twofold_pipeline_poisoned", "Frames that could not be read", labels=["partition"]
        )
        held = CounterMetricFamily("twofold_sink_failures", "Times results were held back", labels=["partition"])
        failures = CounterMetricFamily("twofold_stage_failures", "Frames on which a stage raised", labels=["stage"])
        for number, runner in enumerate(self._runners):
            place = [str(number)]
            frames.add_metric(place, runner.progress.frames)
            rows.add_metric(place, runner.progress.rows)
            poisoned.add_metric(place, runner.progress.poisoned)
            held.add_metric(place, runner.progress.failures)
            for stage, count in runner.stage_failures().items():
                failures.add_metric([stage], count)
        lag = GaugeMetricFamily("twofold_pipeline_lag_seconds", "Wall clock less newest event time", self.pulse().lag_s)
        flushes = CounterMetricFamily("twofold_history_flushes", "Flushes of the hot window", self._recorder.flushes)
        return [frames, rows, poisoned, held, failures, lag, flushes]

    def _loop(self) -> None:
        before, then = self._rows(), time.monotonic()
        while not self._stop.wait(_EVERY_S):
            rows, now = self._rows(), time.monotonic()
            self._rate = (rows - before) / (now - then)
            before, then = rows, now

    def _rows(self) -> int:
        return sum(runner.progress.rows for runner in self._runners)
