"""What flows through Twofold: plain records and Arrow schemas, no I/O.

Every stage, store and route speaks in these types, so two rooms that must not import
each other can still hand over work. Row-wise records are frozen dataclasses with aware
UTC datetimes; column-wise batches (`columns`) carry `int64` nanoseconds.
"""
