"""The API's calls for agents, read-only by default."""
