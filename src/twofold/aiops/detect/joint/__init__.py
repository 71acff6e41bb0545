"""Entities as a whole: what moved together, and what parted that belongs together."""
