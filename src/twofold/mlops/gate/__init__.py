"""Tests that a version must pass before it may be released."""
