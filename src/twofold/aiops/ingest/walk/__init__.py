"""Compiled decoders for metrics of known series: straight from the wire to columns, without the interpreter's lock.

A walker reads only the canonical form that encoders write; for anything else it gives up and the
validated path decides. It never checks attribute bytes but hashes them: a hash that is known was
learnt from a request that the validated path accepted, so these bytes have been checked once.

Everything compiled stands in this one folder, because the cache of compiled code watches a folder.
"""
