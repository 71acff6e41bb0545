import { expect, test } from "vitest";
import { detailOf, LIVE_ID } from "../../src/mock/incidents";
import { NODE_HEIGHT, NODE_WIDTH, placeEntities } from "../../src/ui/map/layout";

const topology = detailOf(LIVE_ID)?.topology ?? { entities: [], edges: [] };

test("a dependent stands left of what it depends on", () => {
  const placed = new Map(
    placeEntities(topology.entities, topology.edges, false).map((each) => [each.entity.id, each]),
  );
  for (const edge of topology.edges) {
    expect(placed.get(edge.source)?.x).toBeLessThan(placed.get(edge.target)?.x ?? 0);
  }
});

test("no two entities overlap", () => {
  const placed = placeEntities(topology.entities, topology.edges, true);
  for (const a of placed) {
    for (const b of placed) {
      if (a === b) continue;
      expect(Math.abs(a.x - b.x) >= NODE_WIDTH || Math.abs(a.y - b.y) >= NODE_HEIGHT).toBe(true);
    }
  }
});

test("an edge to an entity outside the slice is left out", () => {
  const [edge] = topology.edges;
  if (!edge) throw new Error("the mock has edges");
  expect(placeEntities(topology.entities, [{ ...edge, target: "service:elsewhere" }], false)).toHaveLength(8);
});
