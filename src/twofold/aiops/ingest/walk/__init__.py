"""Compiled decoders: metrics of known series, log records, spans; straight from the wire to columns, without the lock.

A walker reads only the form that encoders write; for anything else it gives up and the validated
path decides. Those of metrics never check attribute bytes but hash them: a hash that is known was
learnt from a request that the validated path accepted, so these bytes have been checked once. Those
of log records and spans check every byte that protobuf would, and write attributes as JSON.

Everything compiled stands in this one folder, because the cache of compiled code watches a folder.
"""
