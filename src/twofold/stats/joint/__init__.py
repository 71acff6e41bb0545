"""Entities as a whole, once a tick: how far all series of an entity moved together, and which coupled ones parted.

Each series' tick is measured against its fast level in usual sizes, z (`ticks`). An entity's score is the sum of
log(1 + |z|) over its series, ranked in an aged histogram of its own past (`together`). What was told is learnt too:
what comes back is no news. Two series are coupled when their z go together; a pair parts when what one does beside the
other is improbable in the pair's own past (`pairs`). `learn` runs all of it over samples.

The mathematics only: what an entity is and what a finding says stands with the detector.
"""
