"""Findings and outside alerts to alerts, alerts to incidents."""
