"""Spans to visits: what one service did for one request, how long it waited meanwhile, and for whom.

A visit begins with a server or consumer span and has all spans of the same service below it. Its time is its own
where no call was under way. All spans of a visit come from one process, so its clock is the only one that counts;
where a service reports no client spans, the callee's span stands for the call, moved into the caller's as Jaeger
does it (`model/adjuster/clockskew`): aligned in the middle when it does not fit.
"""
