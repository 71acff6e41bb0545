/** Where the entities of a map stand: dependents left, what they depend on right. Pure. */
import { Graph, layout } from "@dagrejs/dagre";
import type { Edge, Entity } from "../../api/types";

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 50;

export interface Placed {
  entity: Entity;
  x: number;
  y: number;
}

/** Top-left corners of all entities; edges to unknown entities are left out. */
export function placeEntities(
  entities: readonly Entity[],
  edges: readonly Edge[],
  downwards: boolean,
): Placed[] {
  const graph = new Graph();
  graph.setGraph({ rankdir: downwards ? "TB" : "LR", nodesep: 18, ranksep: downwards ? 44 : 64 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(entities.map((entity) => entity.id));
  for (const entity of entities) graph.setNode(entity.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const edge of edges) {
    if (known.has(edge.source) && known.has(edge.target)) graph.setEdge(edge.source, edge.target);
  }
  layout(graph);
  return entities.map((entity) => {
    const node = graph.node(entity.id);
    return { entity, x: (node.x ?? 0) - NODE_WIDTH / 2, y: (node.y ?? 0) - NODE_HEIGHT / 2 };
  });
}
