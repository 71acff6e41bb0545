import { useMediaQuery } from "@mantine/hooks";
import { Controls, Handle, MarkerType, type Node, type NodeProps, Position, ReactFlow } from "@xyflow/react";
import { useMemo } from "react";
import "@xyflow/react/dist/base.css";
import type { Edge, Entity, Topology } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../Badge";
import { EntityName } from "../EntityName";
import { formatPercent } from "../format";
import { NODE_HEIGHT, NODE_WIDTH, placeEntities } from "./layout";
import css from "./Map.module.css";

/** Edges less sure than this are dashed and say so. */
const SURE = 0.7;

type MapNode = Node<{ entity: Entity; downwards: boolean }, "entity">;

/** Entities and what they depend on; health is a word on each node, not only its border. */
export default function FlowMap({ topology }: { topology: Topology }) {
  const downwards = useMediaQuery("(max-width: 640px)") ?? false;
  const { nodes, edges } = useMemo(() => flowOf(topology, downwards), [topology, downwards]);
  return (
    <div className={css.map}>
      <ReactFlow
        key={`${downwards}-${nodes.length}`}
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        fitView
        fitViewOptions={{ padding: 0.12, maxZoom: 1 }}
        minZoom={0.3}
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        zoomOnScroll={false}
        preventScrolling={false}
        proOptions={{ hideAttribution: true }}
        ariaLabelConfig={{ "node.a11yDescription.default": strings.map.node }}
      >
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

function EntityNode({ data }: NodeProps<MapNode>) {
  const { entity, downwards } = data;
  return (
    <div className={`${css.node} ${css[entity.health] ?? ""}`}>
      <Handle
        className={css.handle ?? ""}
        type="target"
        position={downwards ? Position.Top : Position.Left}
        isConnectable={false}
      />
      <span className={css.name}>
        <EntityName id={entity.id} />
      </span>
      <Badge value={entity.health} plain />
      <Handle
        className={css.handle ?? ""}
        type="source"
        position={downwards ? Position.Bottom : Position.Right}
        isConnectable={false}
      />
    </div>
  );
}

const NODE_TYPES = { entity: EntityNode };

function edgeLabel(edge: Edge): string {
  const relation = edge.relation === "calls" ? "" : edge.relation.replace("_", " ");
  const doubt = edge.confidence < SURE ? strings.map.sure(formatPercent(edge.confidence)) : "";
  return [relation, doubt].filter(Boolean).join(", ");
}

function flowOf({ entities, edges }: Topology, downwards: boolean) {
  const health = new Map(entities.map((entity) => [entity.id, entity.health]));
  const troubled = (id: string) => (health.get(id) ?? "ok") !== "ok";
  const nodes: MapNode[] = placeEntities(entities, edges, downwards).map(({ entity, x, y }) => ({
    id: entity.id,
    type: "entity",
    position: { x, y },
    data: { entity, downwards },
    width: NODE_WIDTH,
    height: NODE_HEIGHT,
    ariaLabel: strings.map.entity(entity.name, entity.kind, strings.states[entity.health]),
  }));
  const lines = edges
    .filter((edge) => health.has(edge.source) && health.has(edge.target))
    .map((edge) => {
      const color = troubled(edge.source) && troubled(edge.target) ? "var(--critical-line)" : "var(--subtle)";
      return {
        id: `${edge.source}->${edge.target}:${edge.relation}`,
        source: edge.source,
        target: edge.target,
        label: edgeLabel(edge),
        style: {
          stroke: color,
          strokeWidth: 1.4,
          ...(edge.confidence < SURE ? { strokeDasharray: "4 3" } : {}),
        },
        labelStyle: { fill: "var(--muted)", fontSize: 10 },
        labelBgStyle: { fill: "var(--sunken)" },
        markerEnd: { type: MarkerType.ArrowClosed, color, width: 14, height: 14 },
      };
    });
  return { nodes, edges: lines };
}
