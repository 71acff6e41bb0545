"""Reproducible training of a project in a process of its own."""
