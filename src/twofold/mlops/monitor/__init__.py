"""Drift and quality of deployed models, as series."""
