"""A small real system to watch: an online shop of small processes, its load, and faults with known causes.

Two packages: `shop` is the watched system and knows nothing of faults but small switches;
`control` starts it, breaks it, mends it and writes down the truth. `model` is the project of the
model that the shop asks. Nothing here imports Twofold: they meet over HTTP only, as with any
watched system. Imports are relative, so the package can be shipped under another name.
"""
