"""Logs of other systems: Loki push, Elasticsearch bulk, and the columns that all lines end in."""
