/** Which part of time an evidence's chart shows. Pure. */
import type { Evidence, Incident } from "../../api/types";

const LEAD_MS = 15 * 60_000;
const TRAIL_MS = 5 * 60_000;

/** The evidence's window with a calm stretch before it, so that the deviation is seen against what was normal. */
export function chartWindow(piece: Evidence, incident: Incident): { start: string; end: string } {
  const from = Math.min(Date.parse(piece.start), Date.parse(incident.start)) - LEAD_MS;
  const to = Math.max(Date.parse(piece.end), Date.parse(incident.end ?? incident.last_seen)) + TRAIL_MS;
  return { start: new Date(from).toISOString(), end: new Date(to).toISOString() };
}

/** Where to look for a trace: calls of it may stand in a queue before or after what was seen. A narrow search is quick. */
export function traceWindow(piece: Evidence): { start: string; end: string } {
  const start = new Date(Date.parse(piece.start) - LEAD_MS).toISOString();
  return { start, end: new Date(Date.parse(piece.end) + LEAD_MS).toISOString() };
}
