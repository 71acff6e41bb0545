"""Incidents to ranked suspects with cited evidence."""

from twofold.aiops.diagnose.config import DiagnoseConfig, RankConfig
from twofold.aiops.diagnose.stage import DEFAULT_RANKER, Diagnose

__all__ = ["DEFAULT_RANKER", "Diagnose", "DiagnoseConfig", "RankConfig"]
