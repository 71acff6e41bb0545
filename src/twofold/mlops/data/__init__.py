"""Datasets: immutable, content-addressed snapshots."""
