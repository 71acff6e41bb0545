"""How Twofold itself does: rates, lags and what is wrong, for `/metrics`, `/readyz` and the first page."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from twofold.api.services import Pulse
from twofold.app.child import WorkerProcess
from twofold.flow.background import Background
from twofold.flow.recorder import Recorder
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.mlops.serve.plane import DataPlane
from twofold.store.journal.segments import SegmentJournal

_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The running parts of the first process; `sinks` in the order of `runners`."""

    runners: Sequence[Runner]
    sinks: Sequence[LedgerSink]
    recorder: Recorder
    plane: DataPlane
    worker: WorkerProcess
    journal: SegmentJournal


class Pulses(Background):
    """Samples the running parts every few seconds. See `api.services.PulsePort`."""

    def __init__(self, parts: Parts, registry: CollectorRegistry) -> None:
        super().__init__("pulse")
        self._parts = parts
        self._rate = 0.0
        registry.register(self)

    def pulse(self) -> Pulse:
        """Rates and lags now."""
        newest_ns = max((runner.progress.event_ns for runner in self._parts.runners), default=0)
        lag_s = max(0.0, time.time() - newest_ns / 1e9) if newest_ns else 0.0
        return Pulse(points_per_s=self._rate, lag_s=lag_s, journal_bytes=self._parts.journal.size_bytes())

    def problems(self) -> Mapping[str, str]:
        """Part name to what is wrong with it; empty means ready."""
        found = {f"pipeline-{n}": str(r.failure) for n, r in enumerate(self._parts.runners) if r.failure is not None}
        if self._parts.recorder.failure is not None:
            found["history"] = str(self._parts.recorder.failure)
        if not self._parts.plane.ready:
            failures = self._parts.plane.models.failures
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
        drops = CounterMetricFamily(
            "twofold_stage_dropped", "Items that a stage did not use: late, duplicate, …", labels=["stage", "reason"]
        )
        for (stage, reason), count in sum((r.stage_drops() for r in self._parts.runners), Counter()).items():
            drops.add_metric([stage, reason], count)
        for number, runner in enumerate(self._parts.runners):
            place = [str(number)]
            frames.add_metric(place, runner.progress.frames)
            rows.add_metric(place, runner.progress.rows)
            poisoned.add_metric(place, runner.progress.poisoned)
            held.add_metric(place, runner.progress.failures)
            for stage, count in runner.stage_failures().items():
                failures.add_metric([stage], count)
        refused = CounterMetricFamily("twofold_sink_refused", "Records that were left out for good", labels=["record"])
        for record, count in sum((sink.refused for sink in self._parts.sinks), Counter()).items():
            refused.add_metric([record], count)
        lag = GaugeMetricFamily("twofold_pipeline_lag_seconds", "Wall clock less newest event time", self.pulse().lag_s)
        recorder, worker = self._parts.recorder, self._parts.worker
        flushes = CounterMetricFamily("twofold_history_flushes", "Flushes of the hot window", recorder.flushes)
        waits = CounterMetricFamily("twofold_history_waits", "Times the history could not be written", recorder.held)
        starts = CounterMetricFamily(
            "twofold_worker_starts", "Starts of the worker; more than one: it died", worker.starts
        )
        return [frames, rows, poisoned, held, failures, drops, refused, lag, flushes, waits, starts]

    def loop(self) -> None:
        """Take the rate every few seconds."""
        before, then = self._rows(), time.monotonic()
        while not self.stopping.wait(_EVERY_S):
            rows, now = self._rows(), time.monotonic()
            self._rate = (rows - before) / (now - then)
            before, then = rows, now

    def _rows(self) -> int:
        return sum(runner.progress.rows for runner in self._parts.runners)
