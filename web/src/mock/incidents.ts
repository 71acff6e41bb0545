/** A shop whose payment service got slow after a deploy, and what happened on other days. */
import type {
  Alert,
  Diagnosis,
  Entity,
  Execution,
  Finding,
  Incident,
  IncidentDetail,
  TimelineEntry,
  TimelineKind,
} from "../api/types";
import { hex, minutesAgo } from "./clock";
import { type SeriesName, sidOf } from "./series";

export const LIVE_ID = hex("incident live", 16);
export const MERGED_ID = hex("incident merged", 16);
const TRACE_ID = hex("trace", 32);
const DEPLOY_ID = hex("deploy payment", 16);

function incident(id: string, fields: Partial<Incident> & Pick<Incident, "title" | "start">): Incident {
  return {
    id,
    state: "resolved",
    severity: "critical",
    detected: new Date(Date.parse(fields.start) + 24_000).toISOString(),
    last_seen: minutesAgo(0.2),
    end: null,
    entities: [],
    alerts: [],
    owner: "",
    summary: "",
    backfilled: false,
    merged_into: "",
    ...fields,
  };
}

const after = (start: string, minutes: number): string =>
  new Date(Date.parse(start) + minutes * 60_000).toISOString();

function past(
  name: string,
  minutes: number,
  lasted: number,
  fields: Partial<Incident> & { title: string },
): Incident {
  const start = minutesAgo(minutes);
  return incident(hex(name, 16), {
    start,
    end: after(start, lasted),
    last_seen: after(start, lasted),
    backfilled: true,
    ...fields,
  });
}

export const incidents: Incident[] = [
  incident(LIVE_ID, {
    title: "Payment is slow and fails; checkout and gateway follow",
    state: "open",
    start: minutesAgo(11.5),
    entities: ["service:payment", "service:checkout", "service:gateway", "database:orders"],
    alerts: ["a1", "a2", "a3", "a4", "a5"].map((name) => hex(name, 16)),
    summary:
      "p95 of POST /charge on payment rose from 118 ms to 1.23 s within two minutes of deploy 1.4.2; 7 % of charges fail, and checkout waits for them.",
  }),
  incident(hex("incident drift", 16), {
    title: "Recommendation sees prices it was not trained on",
    state: "acknowledged",
    severity: "warning",
    start: minutesAgo(22),
    entities: ["feature:recommendation/price", "model:recommendation"],
    owner: "ada",
    summary:
      "PSI of input price is 0.42 (limit 0.25) since data version catalog@9f31; predicted scores moved with it.",
  }),
  past("memory", 214, 19, {
    title: "Memory of cart grows until it restarts",
    severity: "warning",
    entities: ["service:cart", "host:shop-1"],
    owner: "grace",
    summary: "process.memory.usage of cart rose 3.1 MiB a minute for 17 minutes; p99 of GET /cart followed.",
  }),
  past("down", 388, 7, {
    title: "Inventory database does not answer",
    entities: ["database:inventory", "service:catalog", "service:gateway"],
    owner: "grace",
    summary: "All calls from catalog to inventory failed for 6 minutes; catalog answered 503.",
  }),
  past("cpu", 560, 12, {
    title: "Host shop-1 is out of CPU",
    severity: "warning",
    entities: ["host:shop-1", "service:worker"],
    summary: "system.cpu.utilization was 0.98 against an expected 0.31 – 0.44.",
  }),
  past("model", 735, 24, {
    title: "Model fraud v3 doubled declined charges",
    entities: ["model:fraud", "service:payment"],
    owner: "ada",
    summary:
      "Declines rose from 2.1 % to 4.6 % right after fraud v3 took all traffic; rolling back to v2 ended it.",
  }),
  past("queue", 1310, 31, {
    title: "Orders wait in the queue",
    severity: "info",
    entities: ["queue:orders", "service:worker"],
    summary: "Lag of queue orders reached 840 messages while worker ran one replica.",
  }),
  incident(MERGED_ID, {
    title: "Gateway answers slowly",
    start: minutesAgo(10.5),
    end: minutesAgo(9.8),
    merged_into: LIVE_ID,
  }),
];

function finding(
  name: SeriesName,
  fields: Partial<Finding> & Pick<Finding, "entity" | "metric" | "reason">,
): Finding {
  return {
    id: hex(`finding ${name}`, 16),
    series: sidOf(name),
    onset: minutesAgo(11.5),
    opened: fields.onset ?? minutesAgo(11.2),
    seen: minutesAgo(0.2),
    score: 8.4,
    effect: 41,
    value: 1.23,
    expected: 0.118,
    low: 0.09,
    high: 0.15,
    direction: "up",
    detector: "panel@4",
    state: "open",
    unit: "s",
    labels_text: "",
    trace_id: "",
    ...fields,
  };
}

export const findings: Finding[] = [
  finding("paymentP95", {
    entity: "service:payment",
    metric: "span.duration.p95",
    reason: "p95 of POST /charge is 1.23 s, expected 90 – 150 ms.",
  }),
  finding("paymentErrors", {
    entity: "service:payment",
    metric: "span.error_ratio",
    onset: minutesAgo(10),
    reason: "7.2 % of POST /charge fail, expected under 0.9 %.",
    unit: "1",
  }),
  finding("checkoutP95", {
    entity: "service:checkout",
    metric: "span.duration.p95",
    onset: minutesAgo(11),
    reason: "p95 of POST /checkout is 1.37 s, expected 190 – 300 ms.",
  }),
  finding("dbActive", {
    entity: "database:orders",
    metric: "db.client.connections.usage",
    onset: minutesAgo(9),
    reason: "23 connections in use, expected 7 – 17.",
    unit: "{connection}",
  }),
  finding("priceDrift", {
    entity: "feature:recommendation/price",
    metric: "model.drift.psi",
    onset: minutesAgo(22),
    value: 0.42,
    expected: 0.04,
    low: 0,
    high: 0.1,
    unit: "1",
    reason: "Prices served in the last 10 minutes differ from the training data: PSI 0.42, limit 0.25.",
  }),
  finding("outputDrift", {
    entity: "model:recommendation",
    metric: "model.output.psi",
    onset: minutesAgo(20),
    state: "closed",
    seen: minutesAgo(9),
    value: 0.13,
    unit: "1",
    reason: "Predicted scores moved with the inputs: PSI 0.13.",
  }),
];

function alert(name: string, fields: Partial<Alert> & Pick<Alert, "entity" | "signal" | "title">): Alert {
  return {
    id: hex(name, 16),
    fingerprint: hex(`print ${name}`, 16),
    state: "firing",
    severity: "critical",
    start: minutesAgo(11.2),
    last_seen: minutesAgo(0.2),
    end: null,
    incident: LIVE_ID,
    source: "twofold",
    kind: "observed",
    findings: [],
    count: 1,
    score: 8.4,
    backfilled: false,
    ...fields,
  };
}

export const alerts: Alert[] = [
  alert("a1", {
    entity: "service:payment",
    signal: "span.duration.p95",
    title: "p95 of POST /charge above its band",
    count: 14,
    findings: findings.slice(0, 1).map((each) => each.id),
  }),
  alert("a2", {
    entity: "service:checkout",
    signal: "span.duration.p95",
    title: "p95 of POST /checkout above its band",
    count: 12,
    start: minutesAgo(10.8),
    score: 7.1,
  }),
  alert("a3", {
    entity: "service:payment",
    signal: "span.error_ratio",
    title: "Error ratio of POST /charge above its band",
    count: 9,
    start: minutesAgo(9.7),
    score: 6.6,
  }),
  alert("a4", {
    entity: "service:gateway",
    signal: "span.duration.p95",
    title: "p95 of POST /api/checkout above its band",
    severity: "warning",
    start: minutesAgo(10.4),
    score: 5.2,
    count: 11,
  }),
  alert("a5", {
    entity: "database:orders",
    signal: "db.client.connections.usage",
    title: "Connections in use above their band",
    severity: "warning",
    state: "resolved",
    start: minutesAgo(8.8),
    end: minutesAgo(3.1),
    score: 4.1,
    count: 3,
  }),
];

const window = { start: minutesAgo(11.5), end: minutesAgo(0.2) };

export const diagnosis: Diagnosis = {
  id: LIVE_ID,
  incident: LIVE_ID,
  time: minutesAgo(10.9),
  ranker: "cause-ranker@3",
  suspects: [
    {
      entity: "service:payment",
      reason: "First to leave its band, 40 s after deploy 1.4.2; every slow checkout waits for it.",
      score: 0.71,
      change: DEPLOY_ID,
      evidence: [
        {
          kind: "series",
          text: "p95 of POST /charge rose from 118 ms to 1.23 s, 41 robust deviations above what is expected.",
          ref: sidOf("paymentP95"),
          entity: "service:payment",
          weight: 0.38,
          attributes: {},
          ...window,
        },
        {
          kind: "change",
          text: "payment was deployed as 1.4.2, 40 s before the first deviation.",
          ref: DEPLOY_ID,
          entity: "service:payment",
          weight: 0.31,
          start: minutesAgo(12.2),
          end: minutesAgo(12.2),
          attributes: { version: "1.4.2", change: "deploy", source: "ci" },
        },
        {
          kind: "trace",
          text: "In a slow checkout of 1.41 s, 1.24 s were spent in payment's POST /charge.",
          ref: TRACE_ID,
          entity: "service:payment",
          weight: 0.19,
          attributes: {},
          ...window,
        },
        {
          kind: "log",
          text: "A line that payment never wrote before: “card network timed out” (37 times).",
          ref: "",
          entity: "service:payment",
          weight: 0.12,
          attributes: { q: "timed out" },
          ...window,
        },
      ],
    },
    {
      entity: "database:orders",
      reason: "More connections in use, but two minutes after payment and back in its band since.",
      score: 0.14,
      change: "",
      evidence: [
        {
          kind: "series",
          text: "Connections in use rose from 12 to 23, 2.5 minutes after payment's latency.",
          ref: sidOf("dbActive"),
          entity: "database:orders",
          weight: 0.7,
          attributes: {},
          ...window,
        },
        {
          kind: "topology",
          text: "checkout reads orders; payment does not.",
          ref: "service:checkout->database:orders",
          entity: "database:orders",
          weight: 0.3,
          attributes: {},
          ...window,
        },
      ],
    },
    {
      entity: "service:checkout",
      reason: "Slow itself, but 88 % of its time is spent waiting for payment.",
      score: 0.09,
      change: "",
      evidence: [
        {
          kind: "series",
          text: "p95 of POST /checkout rose from 245 ms to 1.37 s, 30 s after payment.",
          ref: sidOf("checkoutP95"),
          entity: "service:checkout",
          weight: 1,
          attributes: {},
          ...window,
        },
      ],
    },
  ],
};

const STORY: [number, TimelineKind, string, string?][] = [
  [31, "change", "catalog deployed as 2.9.0 (ci)"],
  [12.2, "change", "payment deployed as 1.4.2 (ci)"],
  [11.2, "alert", "p95 of POST /charge above its band on payment"],
  [11.1, "opened", "Incident opened, 24 s after the first deviation"],
  [11.0, "notice", "Notice sent to channel shop-oncall"],
  [10.9, "diagnosis", "First suspect: payment (64 %)"],
  [10.8, "alert", "p95 of POST /checkout above its band on checkout"],
  [10.4, "alert", "p95 of POST /api/checkout above its band on gateway"],
  [10.2, "note", "Customers report spinning checkouts.", "grace"],
  [9.7, "alert", "Error ratio of POST /charge above its band on payment"],
  [9.5, "diagnosis", "First suspect: payment (71 %), by 4 pieces of evidence"],
  [9.4, "proposed", "Runbook proposed: Restart payment"],
  [9.1, "rejected", "Restart payment rejected: would only drop the in-flight charges", "grace"],
  [8.8, "alert", "Connections in use above their band on orders"],
  [8.5, "proposed", "Runbook proposed: Scale connections of orders"],
  [8.2, "approved", "Scale connections of orders approved", "grace"],
  [8.1, "step", "read pool size: succeeded"],
  [7.9, "step", "set pool size: succeeded"],
  [5.9, "step", "verification: signals did not return to their bands"],
  [4.4, "note", "Not the database. The deploy looks guilty.", "grace"],
  [3.1, "alert_resolved", "Connections in use back in their band on orders"],
  [2.6, "verdict", "database:orders judged wrong as a cause", "grace"],
  [2.2, "diagnosis", "First suspect: payment (71 %)"],
  [2.1, "proposed", "Runbook proposed: Roll back the last deploy of payment"],
  [1.1, "notice", "Notice sent again: waiting for approval"],
];

export const timeline: TimelineEntry[] = STORY.map(([minutes, kind, text, actor], index) => ({
  id: hex(`entry ${index}`, 16),
  incident: LIVE_ID,
  time: minutesAgo(minutes),
  kind,
  text,
  entity: "",
  actor: actor ?? "twofold",
  ref: "",
}));

function execution(name: string, fields: Partial<Execution> & Pick<Execution, "title" | "state">): Execution {
  return {
    id: hex(name, 16),
    runbook: "deploy-rollback",
    incident: LIVE_ID,
    targets: ["service:payment"],
    arguments: { steps: { "roll back": { entity: "service:payment" } } },
    approval_hash: hex(`hash ${name}`, 64),
    expires: minutesAgo(-27.9),
    created: minutesAgo(2.1),
    steps: [],
    requester: "twofold",
    approver: "",
    approved_at: null,
    ended: null,
    result: "",
    dry_run: false,
    ...fields,
  };
}

const step = { started: null, ended: null, output: "" } as const;

export const executions: Execution[] = [
  execution("proposed", {
    title: "Roll back the last deploy of payment",
    state: "proposed",
    steps: [
      { ...step, name: "check the version", action: "http.get", state: "pending" },
      { ...step, name: "roll back", action: "deploy.rollback", state: "pending" },
      { ...step, name: "wait for health", action: "http.wait", state: "pending" },
    ],
  }),
  execution("failed", {
    title: "Scale connections of orders",
    runbook: "pool-resize",
    state: "failed",
    created: minutesAgo(8.5),
    approver: "grace",
    approved_at: minutesAgo(8.2),
    ended: minutesAgo(5.9),
    targets: ["database:orders"],
    arguments: { steps: { "set pool size": { pool: "orders", size: 40 } } },
    result: "Signals did not return to their bands within 120 s.",
    steps: [
      {
        name: "read pool size",
        action: "http.get",
        state: "succeeded",
        started: minutesAgo(8.1),
        ended: minutesAgo(8.09),
        output: "20",
      },
      {
        name: "set pool size",
        action: "http.post",
        state: "succeeded",
        started: minutesAgo(8),
        ended: minutesAgo(7.9),
        output: "40",
      },
      { name: "warm up", action: "http.post", state: "skipped", started: null, ended: null, output: "" },
    ],
  }),
  execution("rejected", {
    title: "Restart payment",
    runbook: "restart",
    state: "rejected",
    created: minutesAgo(9.4),
    ended: minutesAgo(9.1),
    result: "Would only drop the in-flight charges.",
    steps: [{ ...step, name: "restart", action: "process.restart", state: "pending" }],
  }),
];

/** Further states, shown on the past incidents. */
export const otherExecutions: Execution[] = [
  execution("running", {
    title: "Roll back model recommendation",
    state: "running",
    approver: "grace",
    approved_at: minutesAgo(0.6),
    arguments: { steps: { "roll back": { model: "recommendation" } } },
    targets: ["model:recommendation"],
    steps: [
      {
        name: "check previous version",
        action: "model.check",
        state: "succeeded",
        started: minutesAgo(0.6),
        ended: minutesAgo(0.58),
        output: "v6 is servable",
      },
      {
        name: "roll back",
        action: "model.rollback",
        state: "running",
        started: minutesAgo(0.5),
        ended: null,
        output: "",
      },
      { ...step, name: "clear cache", action: "http.post", state: "pending" },
    ],
  }),
  execution("unknown", {
    title: "Restart cart",
    state: "unknown",
    approver: "grace",
    approved_at: minutesAgo(200),
    arguments: { steps: { restart: { entity: "service:cart" } } },
    targets: ["service:cart"],
    steps: [
      {
        name: "restart",
        action: "process.restart",
        state: "unknown",
        started: minutesAgo(199),
        ended: null,
        output: "The worker stopped while this step ran; the check could not reach cart.",
      },
    ],
  }),
  execution("succeeded", {
    title: "Restart inventory",
    state: "succeeded",
    dry_run: true,
    approver: "ada",
    approved_at: minutesAgo(385),
    ended: minutesAgo(381),
    result: "All signals are back in their bands.",
    steps: [
      {
        name: "restart",
        action: "process.restart",
        state: "succeeded",
        started: minutesAgo(385),
        ended: minutesAgo(384.8),
        output: "",
      },
    ],
  }),
  execution("expired", {
    title: "Free CPU on shop-1",
    state: "expired",
    expires: minutesAgo(530),
    steps: [],
  }),
  execution("verifying", {
    title: "Roll back model fraud",
    state: "verifying",
    approver: "ada",
    approved_at: minutesAgo(715),
    steps: [
      {
        name: "roll back",
        action: "model.rollback",
        state: "succeeded",
        started: minutesAgo(715),
        ended: minutesAgo(714.9),
        output: "v2 is live",
      },
    ],
  }),
  execution("approved", {
    title: "Add a worker",
    state: "approved",
    approver: "ada",
    approved_at: minutesAgo(1300),
    steps: [],
  }),
];

const KINDS: readonly Entity["kind"][] = [
  "service",
  "host",
  "database",
  "queue",
  "model",
  "feature",
  "dataset",
];

const entity = (id: string, health: Entity["health"]): Entity => ({
  id,
  kind: KINDS.find((kind) => id.startsWith(`${kind}:`)) ?? "service",
  name: id.split(":")[1] ?? "",
  attributes: {},
  last_seen: minutesAgo(0.1),
  health,
});

const edge = (
  source: string,
  target: string,
  relation: "calls" | "reads" | "runs_on" | "feeds" | "serves" = "calls",
) => ({
  source,
  target,
  relation,
  calls: 120,
  observations: 40_000,
  confidence: 1,
  last_seen: minutesAgo(0.1),
});

const topology = {
  entities: [
    entity("service:gateway", "affected"),
    entity("service:checkout", "affected"),
    entity("service:payment", "suspect"),
    entity("service:cart", "ok"),
    entity("service:recommendation", "ok"),
    entity("database:orders", "affected"),
    entity("model:fraud", "ok"),
    entity("host:shop-1", "ok"),
  ],
  edges: [
    edge("service:gateway", "service:checkout"),
    edge("service:gateway", "service:cart"),
    edge("service:gateway", "service:recommendation"),
    edge("service:checkout", "service:payment"),
    edge("service:checkout", "database:orders", "reads"),
    edge("service:checkout", "service:cart"),
    edge("service:payment", "model:fraud"),
    edge("service:payment", "host:shop-1", "runs_on"),
  ],
};

/** The page of one incident; past ones are thinner. */
export function detailOf(id: string): IncidentDetail | null {
  const found = incidents.find((each) => each.id === id);
  if (!found) return null;
  if (id === LIVE_ID) {
    return {
      incident: found,
      merged_into: null,
      took_over: incidents.filter((each) => each.merged_into === id),
      alerts,
      findings: findings.slice(0, 4),
      diagnosis,
      timeline,
      topology,
      executions,
      verdicts: [
        {
          id: hex("verdict", 16),
          subject: "suspect",
          ref: "database:orders",
          incident: id,
          value: "wrong",
          author: "grace",
          time: minutesAgo(2.6),
          note: "",
        },
      ],
    };
  }
  const place = incidents.indexOf(found) - 1;
  const story: [number, TimelineKind, string][] = [
    [0, "alert", found.title],
    [0.4, "opened", "Incident opened, 24 s after the first deviation"],
  ];
  return {
    incident: found,
    merged_into: incidents.find((each) => each.id === found.merged_into) ?? null,
    took_over: incidents.filter((each) => each.merged_into === id),
    alerts: found.entities.map((each, index) =>
      alert(`past ${id} ${index}`, {
        entity: each,
        signal: "span.duration.p95",
        title: `${each.split(":")[1]} left its band`,
        state: found.end ? "resolved" : "firing",
        start: found.start,
        incident: id,
      }),
    ),
    findings: [],
    diagnosis: null,
    timeline: story.map(([minutes, kind, text], index) => ({
      id: hex(`${id} ${index}`, 16),
      incident: id,
      time: after(found.start, minutes),
      kind,
      text,
      entity: "",
      actor: "twofold",
      ref: "",
    })),
    topology: { entities: found.entities.map((each) => entity(each, "affected")), edges: [] },
    executions: otherExecutions.slice(place, place + 1).map((each) => ({ ...each, incident: id })),
    verdicts: [],
  };
}

export { TRACE_ID };
