/** A trace and log lines behind the mock incident. */
import type { LogLine, Span, TimeShare, Trace, TraceLine } from "../api/types";
import { hex, minutesAgo } from "./clock";
import { TRACE_ID } from "./incidents";

const START = Date.parse(minutesAgo(6));

type Call = [
  name: string,
  parent: string,
  service: string,
  operation: string,
  offset: number,
  length: number,
  error?: boolean,
];

const CALLS: Call[] = [
  ["root", "", "gateway", "POST /api/checkout", 0, 1412, true],
  ["auth", "root", "gateway", "verify session", 2, 6],
  ["checkout", "root", "checkout", "POST /checkout", 10, 1398, true],
  ["cart", "checkout", "cart", "GET /cart/{id}", 14, 31],
  ["redis", "cart", "cart", "HGETALL", 18, 4],
  ["orders", "checkout", "checkout", "INSERT orders", 48, 22],
  ["client", "checkout", "checkout", "POST payment/charge", 74, 1312, true],
  ["charge", "client", "payment", "POST /charge", 82, 1241, true],
  ["fraud", "charge", "payment", "infer fraud", 90, 24],
  ["network", "charge", "payment", "card network", 118, 1196, true],
  ["release", "checkout", "checkout", "UPDATE orders", 1389, 15],
];

/** A call's time but for the calls below it; here no two of them overlap. */
function ownTime(name: string, length: number): number {
  const below = CALLS.filter((call) => call[1] === name).reduce((sum, call) => sum + call[5], 0);
  return Math.max(length - below, 0);
}

function shareOf(service: string): TimeShare {
  const own = CALLS.filter((call) => call[2] === service).reduce(
    (sum, call) => sum + ownTime(call[0], call[5]),
    0,
  );
  return { entity: `service:${service}`, self_ms: own, critical_ms: own };
}

export const trace: Trace = {
  trace_id: TRACE_ID,
  duration_ms: 1412,
  kept: false,
  shares: ["payment", "checkout", "cart", "gateway"].map(shareOf),
  spans: CALLS.map(
    ([name, parent, service, operation, offset, length, error]): Span => ({
      span_id: hex(`span ${name}`, 16),
      parent_id: parent === "" ? "" : hex(`span ${parent}`, 16),
      entity: `service:${service}`,
      name: operation,
      kind: "server",
      start: new Date(START + offset).toISOString(),
      duration_ms: length,
      error: error ?? false,
      peer: "",
      attributes: {},
      self_ms: ownTime(name, length),
      shift_ms: 0,
      critical: [{ offset_ms: offset, duration_ms: ownTime(name, length) }],
    }),
  ),
};

export const traces: TraceLine[] = [1412, 1398, 1240].map((duration_ms, place) => ({
  trace_id: place === 0 ? TRACE_ID : hex(`trace ${place}`, 32),
  entity: "service:checkout",
  operation: "POST /checkout",
  start: new Date(START + place * 700).toISOString(),
  duration_ms,
  error: place < 2,
}));

const LINES: [number, number, string][] = [
  [10.4, 17, "charge 8f2c failed: card network timed out after 1200 ms (attempt 1 of 1)"],
  [9.9, 17, "charge 91aa failed: card network timed out after 1200 ms (attempt 1 of 1)"],
  [9.2, 13, "pool card-network: 16 of 16 connections in use, 9 waiting"],
  [8.7, 17, "charge 3b07 failed: card network timed out after 1200 ms (attempt 1 of 1)"],
  [7.5, 17, 'charge c4d1 failed: card network timed out after 1200 ms <b>not markup</b> {"retry": false}'],
  [6.1, 9, "settings reloaded: card_network.timeout_ms=1200 card_network.retries=0"],
  [5.8, 17, "charge 5e90 failed: card network timed out after 1200 ms (attempt 1 of 1)"],
];

export const logs: LogLine[] = LINES.map(([minutes, severity, body]) => ({
  time: minutesAgo(minutes),
  entity: "service:payment",
  severity,
  body,
  trace_id: TRACE_ID,
}));
