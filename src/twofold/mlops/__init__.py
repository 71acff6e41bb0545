"""MLOps standardises the process by which models reach and stay in production."""
