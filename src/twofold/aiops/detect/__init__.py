"""Detectors: columns in, findings out. No web, SQL or ML framework here."""
