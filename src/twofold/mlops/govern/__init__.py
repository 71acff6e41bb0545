"""Readiness, risk and the audit chain."""
