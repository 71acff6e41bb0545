import { expect, test } from "vitest";
import type { Span } from "../../src/api/types";
import { trace } from "../../src/mock/telemetry";
import { spanRows } from "../../src/ui/trace/spans";

const span = (span_id: string, parent_id: string, at: number, duration_ms: number): Span => ({
  span_id,
  parent_id,
  entity: "service:a",
  name: span_id,
  kind: "server",
  start: new Date(1_700_000_000_000 + at).toISOString(),
  duration_ms,
  error: false,
  peer: "",
  attributes: {},
  self_ms: duration_ms,
  shift_ms: 0,
  critical: [],
});

test("children stand under their parent, by start", () => {
  const rows = spanRows([
    span("late", "root", 20, 5),
    span("root", "", 0, 100),
    span("early", "root", 10, 5),
  ]);
  expect(rows.map((row) => [row.span.span_id, row.depth])).toEqual([
    ["root", 0],
    ["early", 1],
    ["late", 1],
  ]);
});

test("a span whose parent is missing is a root; one that is its own parent does not loop", () => {
  const rows = spanRows([span("orphan", "gone", 0, 10), span("self", "self", 5, 5)]);
  expect(rows.map((row) => row.depth)).toEqual([0, 0]);
});

test("bars lie within the trace", () => {
  for (const row of spanRows(trace.spans)) {
    expect(row.offset).toBeGreaterThanOrEqual(0);
    expect(row.offset + row.width).toBeLessThanOrEqual(1.000001);
  }
});

test("a clock that differs is moved, and the critical path stands in shares of the whole", () => {
  const moved = { ...span("far", "root", 5000, 50), shift_ms: -4975 };
  const root = { ...span("root", "", 0, 100), critical: [{ offset_ms: 75, duration_ms: 25 }] };
  const [first, second] = spanRows([moved, root]);
  expect(first?.critical).toEqual([{ offset: 0.75, width: 0.25 }]);
  expect([second?.offset, second?.width]).toEqual([0.25, 0.5]);
});

test("no spans, no rows", () => expect(spanRows([])).toEqual([]));
