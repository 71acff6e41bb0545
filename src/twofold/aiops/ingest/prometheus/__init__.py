"""Prometheus: remote write, scraping, the text exposition."""
