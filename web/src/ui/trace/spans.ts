/** A trace's spans in the order of their calls, with where each bar stands. Pure. */
import type { Span } from "../../api/types";

export interface SpanRow {
  span: Span;
  depth: number;
  /** Share of the whole trace, 0..1. */
  offset: number;
  width: number;
  offset_ms: number;
  /** Stretches of the critical path, as shares of the whole trace. */
  critical: { offset: number; width: number }[];
}

/** Start by its caller's clock, ms since the epoch. */
const startOf = (span: Span): number => Date.parse(span.start) + span.shift_ms;

/** Rows depth first, children by start; a span whose parent is missing counts as a root. */
export function spanRows(spans: readonly Span[]): SpanRow[] {
  if (spans.length === 0) return [];
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map<string, Span[]>();
  for (const span of [...spans].sort((a, b) => startOf(a) - startOf(b))) {
    const parent = known.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const start = Math.min(...spans.map(startOf));
  const end = Math.max(...spans.map((span) => startOf(span) + span.duration_ms));
  const total = Math.max(end - start, 0.001);
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const walk = (parent: string, depth: number): void => {
    for (const span of children.get(parent) ?? []) {
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      const offset_ms = startOf(span) - start;
      const critical = span.critical.map((piece) => ({
        offset: piece.offset_ms / total,
        width: piece.duration_ms / total,
      }));
      rows.push({
        span,
        depth,
        offset: offset_ms / total,
        width: span.duration_ms / total,
        offset_ms,
        critical,
      });
      walk(span.span_id, depth + 1);
    }
  };
  walk("", 0);
  return rows;
}
