"""Starts the shop, supervises it, breaks it on demand, mends it, and keeps the truth about every fault."""
