"""The append-only release ledger: shadow, canary, live, rolled back."""
