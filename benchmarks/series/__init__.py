"""Metric anomalies: the panel detector against labelled series, with a rolling median beside it."""
