"""Where things are kept: one protocol a room, one engine a file.

`journal` holds accepted telemetry until every consumer has it, `history` the telemetry tables,
`ledger` the SQL state, `blobs` content-addressed bytes, `catalog` the series definitions.
"""
