"""Names that the shop and its control share. Light: the control does not load the shop's telemetry."""

from __future__ import annotations

SERVICES = ("store", "catalog", "cart", "payment", "recommendation", "checkout", "worker", "gateway", "load")
WITHOUT_PORT = ("worker", "load")
FEEDS = ("prices",)
STABLE_VERSION = "1.3.2"
BUGGY_VERSION = "1.4.0"
