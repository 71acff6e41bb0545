"""Root-cause ranking and alert grouping on recorded faults: `python -m benchmarks.incidents`."""
