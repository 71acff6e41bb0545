"""Receivers: bytes of a protocol in, checked columns out, durable before the answer."""
