"""What the data plane counts about itself, on `/metrics`."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

REQUESTS: Final = Counter("twofold_inference_requests", "Inference requests answered", ["model", "version", "stage"])
REJECTED: Final = Counter("twofold_inference_rejected", "Inference requests refused", ["reason"])
FAILED: Final = Counter(
    "twofold_inference_failed", "Predictions in which the model raised", ["model", "version", "stage"]
)
SECONDS: Final = Histogram(
    "twofold_inference_seconds",
    "From the parsed request to the outputs",
    ["model"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
SHADOW_DROPPED: Final = Counter(
    "twofold_inference_shadow_dropped", "Copies for shadows dropped because their queue was full"
)
LOG_ROWS: Final = Counter(
    "twofold_prediction_log_rows", "Rows of the prediction log by what became of them", ["outcome"]
)
LOAD_FAILURES: Final = Counter("twofold_model_load_failures", "Released versions that could not be loaded", ["model"])
