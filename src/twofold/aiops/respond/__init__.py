"""Runbooks: proposal, approval, durable execution, verification; notices."""
