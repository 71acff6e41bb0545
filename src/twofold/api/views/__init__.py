"""Bodies of the REST API, a file a noun."""
