"""Environments and resources that training and serving need."""
