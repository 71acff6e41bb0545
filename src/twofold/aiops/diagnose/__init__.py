"""Incidents to ranked suspects with cited evidence."""
