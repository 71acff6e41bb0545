"""Commands: noun, then verb."""
