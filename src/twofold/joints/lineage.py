"""Joint 2: deployed models are things that fail. A version's lineage becomes entities and edges of the one topology."""

from __future__ import annotations

from twofold.records.entity import Edge, Entity, EntityKind, Relation, entity_id
from twofold.records.model import ModelKind, ModelVersion


def lineage(version: ModelVersion) -> tuple[list[Entity], list[Edge]]:
    """The model, the features it reads and the dataset it was trained on.

    Trouble flows from an edge's target to its source, so the model depends on its features and its dataset.
    Detectors and other parts of our own are entities too, but nothing calls them.
    """
    model = entity_id(EntityKind.MODEL, version.model)
    attributes = {"version": version.version, "format": version.format, "owner": version.owner}
    entities = [
        Entity(id=model, kind=EntityKind.MODEL, name=version.model, attributes=attributes, tenant=version.tenant)
    ]
    edges: list[Edge] = []
    if version.kind is ModelKind.SERVED:
        for one in version.inputs:
            name = f"{version.model}/{one.name}"
            feature = entity_id(EntityKind.FEATURE, name)
            entities.append(Entity(id=feature, kind=EntityKind.FEATURE, name=name, tenant=version.tenant))
            edges.append(Edge(source=model, target=feature, relation=Relation.FEEDS, tenant=version.tenant))
    if version.dataset:
        name = version.dataset.partition("@")[0]
        dataset = entity_id(EntityKind.DATASET, name)
        entities.append(
            Entity(
                id=dataset,
                kind=EntityKind.DATASET,
                name=name,
                attributes={"version": version.dataset},
                tenant=version.tenant,
            )
        )
        edges.append(Edge(source=model, target=dataset, relation=Relation.TRAINED_ON, tenant=version.tenant))
    return entities, edges
