"""Telemetry that stands in other systems already: read window by window, handed on as requests to our own receivers."""
