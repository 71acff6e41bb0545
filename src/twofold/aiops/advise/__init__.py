"""What to automate and what to right-size."""
