import type { Finding } from "../../api/types";

const LEAD_MS = 20 * 60_000;
const TRAIL_MS = 5 * 60_000;
const MARGIN_MS = 60_000;
const LONGEST_MS = 6 * 3_600_000;

/** The lower edge of the band; what is nowhere negative is not expected to be. */
export function lowest({ value, expected, low }: Finding): number | null {
  return (value ?? 0) >= 0 && (expected ?? 0) >= 0 ? Math.max(0, low ?? 0) : low;
}

/** A finding with a calm stretch before it; of a long one its beginning. */
export function around({ onset, seen }: Pick<Finding, "onset" | "seen">): { start: string; end: string } {
  const from = Date.parse(onset) - LEAD_MS;
  const to = Math.min(Date.parse(seen) + TRAIL_MS, from + LONGEST_MS);
  return { start: new Date(from).toISOString(), end: new Date(to).toISOString() };
}

/** The time in which it held, and a little more on both sides. */
export function during({ onset, seen }: Pick<Finding, "onset" | "seen">): { start: string; end: string } {
  const from = Date.parse(onset) - MARGIN_MS;
  const to = Math.min(Date.parse(seen) + MARGIN_MS, from + LONGEST_MS);
  return { start: new Date(from).toISOString(), end: new Date(to).toISOString() };
}
