"""Findings and outside alerts to alerts, alerts to incidents."""

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.stage import Correlate

__all__ = ["Correlate", "CorrelateConfig"]
