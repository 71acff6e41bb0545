import type { ChangeEvent, Demo, Home, Session, Token, User } from "../api/types";
import { hex, minutesAgo } from "./clock";
import { incidents } from "./incidents";

const change = (
  minutes: number,
  kind: ChangeEvent["change"],
  entity: string,
  title: string,
  version = "",
): ChangeEvent => ({
  id: hex(`${title}${minutes}`, 16),
  kind: "change",
  time: minutesAgo(minutes),
  entity,
  title,
  change: kind,
  version,
  state: "",
  source: "ci",
  link: "",
  attributes: {},
});

export const changes: ChangeEvent[] = [
  change(12.2, "deploy", "service:payment", "payment deployed", "1.4.2"),
  change(23, "data_version", "dataset:catalog", "New catalog prices", "9f31c2"),
  change(31, "deploy", "service:catalog", "catalog deployed", "2.9.0"),
  change(130, "promotion", "model:recommendation", "v8 runs as shadow", "8"),
  change(215, "config", "service:cart", "Session cache doubled"),
  change(388, "rollback", "model:fraud", "Rolled back to v2", "2"),
  change(610, "flag", "service:gateway", "Flag one-click-checkout on for 10 %"),
];

const other = (
  minutes: number,
  kind: ChangeEvent["kind"],
  entity: string,
  title: string,
  fields: Partial<ChangeEvent> = {},
): ChangeEvent => ({ ...change(minutes, null, entity, title), kind, source: "", ...fields });

const events: ChangeEvent[] = [
  ...changes,
  other(3, "notice", "service:payment", "Pipeline deploy of payment succeeded", {
    source: "github",
    link: "https://github.com/shop/payment/actions/runs/91",
  }),
  other(11.3, "new_template", "service:payment", "new log line: charge <*> failed: card network timed out", {
    source: "twofold",
  }),
  other(11, "external_alert", "service:checkout", "CheckoutLatencyHigh", {
    source: "alertmanager",
    state: "firing",
  }),
  other(44, "notice", "pod:cart-7d9f", "Pod cart-7d9f was scheduled on shop-2", { source: "kubernetes" }),
].sort((a, b) => b.time.localeCompare(a.time));

/** Events of a kind and an entity, newest first. */
export function eventsOf(query: URLSearchParams): ChangeEvent[] {
  return events.filter(
    (event) =>
      (!query.get("kind") || event.kind === query.get("kind")) &&
      (!query.get("entity") || event.entity === query.get("entity")),
  );
}

export const home = (): Home => ({
  open_incidents: incidents.filter((incident) => incident.state !== "resolved"),
  recent_incidents: incidents.filter((incident) => incident.state === "resolved"),
  counts: {
    open: incidents.filter((incident) => incident.state === "open").length,
    acknowledged: incidents.filter((incident) => incident.state === "acknowledged").length,
    resolved_24h: 5,
    alerts_firing: 6,
    findings_24h: 1284,
    alerts_24h: 57,
    incidents_24h: 7,
  },
  models_at_risk: [
    {
      model: "recommendation",
      version: "7",
      reason: "Input price drifts since 22 min: PSI 0.42, limit 0.25.",
      drift: 0.42,
    },
  ],
  changes,
  health: { entities: 23, series: 1842, points_per_s: 368, lag_s: 2.4, journal_bytes: 61_400_000 },
  slos: [
    {
      id: "orders go through",
      entity: "service:checkout",
      objective: 0.98,
      threshold_s: 0,
      window_s: 86_400,
      operation: "",
      total: 51_840,
      bad: 812,
      budget_left: 0.217,
      updated: minutesAgo(1),
      state: "burning",
      burn_1h: 16.2,
      burn_6h: 4.1,
      exhausted_at: null,
    },
    {
      id: "pages within 300 ms",
      entity: "service:gateway",
      objective: 0.95,
      threshold_s: 0.3,
      window_s: 2_592_000,
      operation: "",
      total: 12_960_000,
      bad: 97_200,
      budget_left: 0.85,
      updated: minutesAgo(1),
      state: "ok",
      burn_1h: 0.6,
      burn_6h: 0.4,
      exhausted_at: null,
    },
  ],
  forecasts: [
    {
      id: hex("forecast", 16),
      entity: "host:db-1",
      series: hex("fill", 16),
      metric: "system.filesystem.utilization",
      limit: 1,
      value: 0.81,
      made: minutesAgo(44),
      seen: minutesAgo(2),
      engine: "",
      horizon_s: 2_592_000,
      claimed: 0.84,
      probability: 0.91,
      model: "capacity@1",
      reason: "disk /var/lib/postgresql full in 2 d 4 h (80 %: 1 d 18 h to 2 d 21 h), 81 % now",
      eta: minutesAgo(-3120),
      early: minutesAgo(-2520),
      late: minutesAgo(-4140),
      alerted: minutesAgo(44),
      ended: null,
      state: "open",
      unit: "1",
      labels_text: "/var/lib/postgresql",
    },
  ],
  noise_removed: { findings: 1284, alerts: 57, incidents: 7 },
});

export const session: Session = {
  user: { id: "admin", name: "admin", role: "admin" },
  permissions: [
    "read",
    "incident:respond",
    "runbook:approve",
    "model:train",
    "model:release",
    "demo:break",
    "admin",
  ],
};

const user = (name: string, role: User["role"], minutes: number, disabled = false): User => ({
  id: name,
  name,
  role,
  created: minutesAgo(minutes),
  disabled,
});

export const users: User[] = [
  user("admin", "admin", 43_000),
  user("grace", "approver", 41_000),
  user("ada", "ml-engineer", 20_000),
  user("linus", "responder", 12_000, true),
];

export const tokens: Token[] = [
  {
    id: hex("token 1", 16),
    user: "admin",
    name: "otel-collector",
    kind: "token",
    scopes: ["telemetry:send"],
    created: minutesAgo(9000),
    expires: null,
    revoked: false,
  },
  {
    id: hex("token 2", 16),
    user: "admin",
    name: "old-laptop",
    kind: "token",
    scopes: ["read"],
    created: minutesAgo(20_000),
    expires: null,
    revoked: true,
  },
];

const fault = (name: string, title: string, description: string, since: string | null = null) => ({
  name,
  title,
  description,
  active: since !== null,
  since,
});

export const demo: Demo = {
  available: true,
  faults: [
    fault(
      "latency",
      "Slow payment",
      "payment waits 1.2 s for the card network on most charges.",
      minutesAgo(11.7),
    ),
    fault(
      "bad-deploy",
      "Bad deploy",
      "checkout is deployed as a version that answers half of the requests with 500.",
    ),
    fault("memory-leak", "Memory leak", "cart keeps every basket it ever saw."),
    fault("cpu-hog", "CPU hog", "A job takes all of one core beside catalog."),
    fault("dependency-down", "Dependency down", "inventory stops answering; catalog's calls fail."),
    fault("disk-full", "Disk filling", "worker writes its scratch files and never deletes them."),
    fault("data-drift", "Data drift", "Prices reach the recommendation model in cents instead of euros."),
  ],
  shop: {
    services: ["gateway", "catalog", "cart", "checkout", "payment", "recommendation", "worker", "load"],
  },
};
