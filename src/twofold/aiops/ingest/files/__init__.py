"""Files: logs that are followed as they grow, and tables that are read once."""
