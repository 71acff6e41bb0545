"""Builds the web UI into the wheel, with Node from a PyPI package: no Node on anybody's machine."""
