/** Log templates with their rates, and the lines of one. */
import type { LogLine, LogTemplate, Templates } from "../api/types";
import { hex, minutesAgo, noise } from "./clock";
import { logs } from "./telemetry";

type Sort = [
  text: string,
  example: string,
  entities: string[],
  lines: number,
  errors: number,
  severity: number,
  first_min: number,
  rate: number,
  grows?: number,
];

const SORTS: Sort[] = [
  [
    "GET <*> answered 200 in <*> ms",
    "GET /catalog answered 200 in 14 ms",
    ["service:gateway", "service:catalog", "service:cart"],
    412_882,
    0,
    9,
    43_200,
    38,
  ],
  [
    "order <*> paid with <*>",
    "order 81223 paid with card",
    ["service:checkout"],
    51_204,
    0,
    9,
    43_100,
    4.6,
    0.4,
  ],
  [
    "charge <*> failed: card network timed out after <*> ms (attempt <*> of <*>)",
    "charge 8f2c failed: card network timed out after 1200 ms (attempt 1 of 1)",
    ["service:payment"],
    1_204,
    1_204,
    17,
    11.4,
    1.9,
    40,
  ],
  [
    "pool card-network: <*> of <*> connections in use, <*> waiting",
    "pool card-network: 16 of 16 connections in use, 9 waiting",
    ["service:payment"],
    388,
    0,
    13,
    21_000,
    0.4,
    9,
  ],
  [
    "session opened for user <*>",
    "session opened for user ada",
    ["host:shop-1", "host:shop-2"],
    212,
    0,
    9,
    40_000,
    0,
  ],
  [
    "settings reloaded: <*>",
    "settings reloaded: card_network.timeout_ms=1200 card_network.retries=0",
    ["service:payment"],
    3,
    0,
    9,
    12,
    0,
  ],
];

const templates: LogTemplate[] = SORTS.map(
  ([text, example, entities, lines, errors, severity, first, rate, grows]): LogTemplate => ({
    id: hex(text, 16),
    text,
    example,
    lines,
    errors,
    severity,
    first_seen: minutesAgo(first),
    last_seen: minutesAgo(0.3),
    uses: entities.map((entity, index) => ({
      entity,
      lines: index === 0 ? lines - entities.length + 1 : 1,
      errors: index === 0 ? errors : 0,
      severity,
      first_seen: minutesAgo(first),
      last_seen: minutesAgo(0.3),
      series: rate > 0 ? hex(`rate ${text}`, 16) : "",
    })),
    trend:
      rate > 0
        ? {
            start: minutesAgo(60),
            step_s: 120,
            rate: Array.from({ length: 30 }, (_, step) => {
              const level = step >= 25 ? rate : rate / (grows ?? 1);
              return first < 60 && step < 25 ? 0 : level * (1 + 0.08 * noise(step + lines));
            }),
            change: first < 60 ? null : (grows ?? 1),
          }
        : null,
    nearness: null,
  }),
);

/** Near by shared words, which is less than the server does. */
export function templatesOf(query: URLSearchParams): Templates {
  const asked = (query.get("q") ?? "").toLowerCase().split(/\W+/).filter(Boolean);
  const entity = query.get("entity") ?? "";
  const near = (one: LogTemplate) =>
    asked.filter((word) => `${one.text} ${one.example}`.toLowerCase().includes(word)).length;
  const items = templates
    .filter((one) => one.severity >= Number(query.get("severity") ?? 0))
    .filter((one) => entity === "" || one.uses.some((use) => use.entity === entity))
    .filter((one) => asked.length === 0 || near(one) > 0)
    .map((one) => ({ ...one, nearness: asked.length > 0 ? near(one) / asked.length : null }))
    .sort((a, b) => (b.nearness ?? 0) - (a.nearness ?? 0) || b.lines - a.lines);
  return { items, total: items.length, by_model: false };
}

/** Lines of a template; those of the incident where they are its. */
export function linesOf(id: string): LogLine[] {
  const template = templates.find((one) => one.id === id);
  const own = logs.filter((line) => line.body.startsWith(template?.text.split(" <*>")[0] ?? "?"));
  return own.length > 0 || !template
    ? own
    : [
        {
          time: template.last_seen,
          entity: template.uses[0]?.entity ?? "",
          severity: template.severity,
          body: template.example,
          trace_id: "",
        },
      ];
}
