"""The pipeline, readable in one place: which stages a tenant's telemetry goes through, and in what order.

topology → red → traces → slo → lograte → mining → delivery → drift → panel
→ joint → capacity → foretell → correlate → diagnose (→ shadow)

With more than one partition, delivery, correlate and diagnose stand in the first one only, behind an inbox of what
the others hand over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.delivery.stage import Delivery
from twofold.aiops.detect.joint.stage import Joint
from twofold.aiops.detect.lograte import LogRate
from twofold.aiops.detect.mining.board import Board
from twofold.aiops.detect.mining.stage import Mining
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.red import Red
from twofold.aiops.detect.slo import Slos
from twofold.aiops.detect.traces.stage import Traces
from twofold.aiops.diagnose.stage import Diagnose
from twofold.aiops.forecast.alerts import Foretell
from twofold.aiops.forecast.engines import load
from twofold.aiops.forecast.stage import Capacity
from twofold.aiops.topology.learn import Topology
from twofold.config import Config
from twofold.errors import ConfigError
from twofold.flow.hand import Aligned, Inbox
from twofold.flow.homes import FIRST, partition_of
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.joints.detectors import Released
from twofold.joints.shadow import Shadow
from twofold.mlops.monitor.drift import DriftStage
from twofold.mlops.monitor.profiles import Profiles
from twofold.records.entity import Edge, Relation
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog
from twofold.store.ledger import Ledger

Build = Callable[[str, Lane], Pipeline]
STAGES: Final = frozenset(
    stage.name
    for stage in (
        Topology,
        Red,
        Traces,
        Slos,
        LogRate,
        Mining,
        Delivery,
        DriftStage,
        Panel,
        Joint,
        Capacity,
        Foretell,
        Correlate,
        Diagnose,
        Shadow,
    )
)
"""Names that `Config.without` may hold."""
DECLARED: Final = [Relation.FEEDS.value, Relation.TRAINED_ON.value]
"""Relations that no telemetry tells: a pipeline that begins later must hear of them too."""


def builder(
    config: Config,
    catalog: Catalog,
    ledger: Ledger,
    profiles: Profiles,
    released: Released,
    board: Board | None = None,
    *,
    partition: int = FIRST,
    partitions: int = 1,
) -> Build:
    """Makes pipelines with the detectors that are live at that moment, and with the lineage declared so far.

    What they mine of log lines can be read on the board. They are for one partition of so many.
    """
    if unknown := set(config.without) - STAGES:
        raise ConfigError(
            f"no stage is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(STAGES))}", setting="without"
        )
    engines = load(config.forecast.engines)
    first, alone = partition == FIRST, partitions == 1
    slos = [slo for slo in config.slos if partition_of(slo.entity, partitions) == partition]

    def grouping(stage: Stage, lane: Lane) -> list[Stage]:
        """A stage that needs what all partitions find."""
        return [stage if alone else Aligned(stage, lane)] if first else []

    def build(tenant: str, lane: Lane) -> Pipeline:
        panel, capacity, causes = released.panel(), released.capacity(), released.causes()
        traces = Traces(catalog, tenant=tenant, lane=lane)
        mining = Mining(catalog, tenant=tenant, lane=lane)
        if board is not None:
            board.attach(mining)
        stages: list[Stage] = [
            *([Inbox()] if first and not alone else []),
            Topology(tenant=tenant, linked=not alone),
            Red(catalog, tenant=tenant, lane=lane),
            traces,
            Slos(slos, catalog, tenant=tenant, lane=lane),
            LogRate(catalog, tenant=tenant, lane=lane),
            mining,
            *([Delivery(catalog, tenant=tenant, lane=lane)] if first else []),
            DriftStage(catalog, profiles, tenant=tenant, lane=lane),
            Panel(catalog, panel.config, detector=panel.id, tenant=tenant, explain=traces.explain),
            *([Joint(catalog, config.joint, tenant=tenant)] if config.joint.on else []),
            Capacity(catalog, capacity.config, model=capacity.id, engines=engines, tenant=tenant),
            Foretell(lane),
            *grouping(Correlate(config.correlate, lane=lane), lane),
            *grouping(Diagnose(causes.config, ranker=causes.id), lane),
        ]
        shadow = released.shadow() if lane is Lane.LIVE else None
        if shadow is not None:
            stages.append(
                Shadow(
                    catalog,
                    shadow.config,
                    detector=shadow.id,
                    run=shadow.release,
                    partition=partition,
                    correlate=config.correlate,
                    edges=ledger.find(Edge, tenant=tenant, limit=10_000),
                    limits=config.detectors.shadow,
                    tenant=tenant,
                )
            )
        stages = [stage for stage in stages if stage.name not in config.without]
        pipeline = Pipeline(stages, lane=lane, lateness_ns=int(config.lateness_s * SECOND_NS))
        pipeline.push(
            ledger.find(Edge, tenant=tenant, where={"relation": DECLARED}, limit=10_000), event_ns=0, received_ns=0
        )
        return pipeline

    return build
