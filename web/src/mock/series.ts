/** Series with a band, and how they leave it. */
import type { Finding, Points } from "../api/types";
import { hex, noise } from "./clock";

interface Shape {
  metric: string;
  entity: string;
  labels: Record<string, string>;
  unit: string;
  level: number;
  swing: number;
  /** Minutes before now at which the deviation begins and ends, and by what factor it goes. */
  onset_min?: number;
  over_min?: number;
  factor?: number;
}

const SHAPES: Record<string, Shape> = {
  paymentP95: {
    metric: "span.duration.p95",
    entity: "service:payment",
    labels: { operation: "POST /charge", kind: "server" },
    unit: "s",
    level: 0.118,
    swing: 0.012,
    onset_min: 11.5,
    factor: 10.4,
  },
  paymentErrors: {
    metric: "span.error_ratio",
    entity: "service:payment",
    labels: { operation: "POST /charge", kind: "server" },
    unit: "1",
    level: 0.004,
    swing: 0.002,
    onset_min: 10,
    factor: 18,
  },
  checkoutP95: {
    metric: "span.duration.p95",
    entity: "service:checkout",
    labels: { operation: "POST /checkout", kind: "server" },
    unit: "s",
    level: 0.245,
    swing: 0.02,
    onset_min: 11,
    factor: 5.6,
  },
  dbActive: {
    metric: "db.client.connections.usage",
    entity: "database:orders",
    labels: { state: "used" },
    unit: "{connection}",
    level: 12,
    swing: 2,
    onset_min: 9,
    factor: 1.9,
  },
  hourDrift: {
    metric: "model.drift.psi",
    entity: "feature:recommendation/hour",
    labels: { feature: "hour" },
    unit: "1",
    level: 0.02,
    swing: 0.008,
  },
  priceDrift: {
    metric: "model.drift.psi",
    entity: "feature:recommendation/price",
    labels: { feature: "price" },
    unit: "1",
    level: 0.035,
    swing: 0.012,
    onset_min: 22,
    factor: 12,
  },
  categoryDrift: {
    metric: "model.drift.psi",
    entity: "feature:recommendation/category",
    labels: { feature: "category" },
    unit: "1",
    level: 0.06,
    swing: 0.015,
  },
  outputDrift: {
    metric: "model.output.psi",
    entity: "model:recommendation",
    labels: {},
    unit: "1",
    level: 0.03,
    swing: 0.01,
    onset_min: 20,
    factor: 4.4,
  },
};

export type SeriesName = keyof typeof SHAPES;

export const sidOf = (name: SeriesName): string => hex(String(name), 16);

const BY_SID = new Map(Object.entries(SHAPES).map(([name, shape]) => [sidOf(name), shape]));

/** Points of a mock series over a window; an unknown sid gives a calm one. */
export function pointsOf(sid: string, start: string, end: string, findings: Finding[], now: number): Points {
  const shape = BY_SID.get(sid) ?? {
    metric: "span.rate",
    entity: "service:gateway",
    labels: {},
    unit: "1/s",
    level: 42,
    swing: 4,
  };
  const step_s = 10;
  const from = Math.floor(Date.parse(start) / 10_000) * 10_000;
  const to = Math.min(Date.parse(end), now);
  const time_ms: number[] = [];
  for (let time = from; time <= to; time += step_s * 1000) time_ms.push(time);
  const mean = time_ms.map((time) => valueAt(shape, time, now));
  const low = time_ms.map((time) => Math.max(0, calmAt(shape, time) - 2.6 * shape.swing));
  const high = time_ms.map((time) => calmAt(shape, time) + 2.6 * shape.swing);
  return {
    series: {
      sid,
      metric: shape.metric,
      labels: shape.labels,
      entity: shape.entity,
      unit: shape.unit,
      kind: "gauge",
      origin: "span",
    },
    start,
    end,
    step_s,
    time_ms,
    mean,
    min: mean.map((value) => value - shape.swing / 2),
    max: mean.map((value) => value + shape.swing / 2),
    band: { low, high },
    findings: findings.filter((finding) => finding.series === sid),
  };
}

function calmAt(shape: Shape, time: number): number {
  return shape.level + shape.swing * 0.8 * Math.sin(time / 420_000);
}

function valueAt(shape: Shape, time: number, now: number): number {
  const calm = calmAt(shape, time) + shape.swing * 0.75 * noise(time / 1000);
  const age_min = (now - time) / 60_000;
  if (shape.onset_min === undefined || age_min > shape.onset_min || age_min < (shape.over_min ?? 0)) {
    return Math.max(0, calm);
  }
  const rise = Math.min(1, (shape.onset_min - age_min) / 2.2);
  return calm * (1 + ((shape.factor ?? 1) - 1) * rise * (0.94 + 0.06 * noise(time / 3000)));
}
