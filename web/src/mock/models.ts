/** A served model that drifts, a calm one, and our own detector and ranker. */
import type {
  GateResult,
  ModelDetail,
  ModelSummary,
  ModelVersion,
  Release,
  ReleaseStage,
} from "../api/types";
import { hex, minutesAgo } from "./clock";
import { findings } from "./incidents";
import { type SeriesName, sidOf } from "./series";

const reading = (feature: string, entity: string, name: SeriesName, value: number) => ({
  feature,
  entity,
  series: sidOf(name),
  value,
});

const drift = [
  reading("price", "feature:recommendation/price", "priceDrift", 0.42),
  reading("score", "model:recommendation", "outputDrift", 0.13),
  reading("category", "feature:recommendation/category", "categoryDrift", 0.06),
  reading("hour", "feature:recommendation/hour", "hourDrift", 0.018),
];

const summary = (
  model: string,
  kind: ModelSummary["kind"],
  live_version: string,
  fields: Partial<ModelSummary>,
): ModelSummary => ({
  model,
  kind,
  live_version,
  owner: "twofold",
  versions: Number(live_version),
  health: "ok",
  drift: [],
  request_rate: null,
  ...fields,
});

export const models: ModelSummary[] = [
  summary("recommendation", "served", "7", {
    owner: "ada",
    health: "affected",
    drift,
    request_rate: 18.4,
    versions: 8,
  }),
  summary("fraud", "served", "2", {
    owner: "ada",
    drift: [reading("amount", "feature:fraud/amount", "hourDrift", 0.041)],
    request_rate: 6.2,
    versions: 3,
  }),
  summary("panel", "detector", "4", {}),
  summary("cause-ranker", "ranker", "3", {}),
];

const gate = (name: string, passed: boolean, value: number, limit: number, text: string): GateResult => ({
  name,
  passed,
  value,
  limit,
  text,
  unknown: false,
});

function version(number: number, minutes: number, gates: GateResult[], description = ""): ModelVersion {
  return {
    id: `recommendation@${number}`,
    model: "recommendation",
    version: String(number),
    kind: "served",
    format: "skops",
    artifact: `models/recommendation/${number}`,
    artifact_sha256: hex(`artifact ${number}`, 64),
    created: minutesAgo(minutes),
    run: hex(`run ${number}`, 16),
    dataset: `catalog@${hex(`data ${number}`, 16)}`,
    inputs: [
      { name: "price", datatype: "FP64", entity: "feature:recommendation/price" },
      { name: "category", datatype: "BYTES", entity: "feature:recommendation/category" },
      { name: "hour", datatype: "INT64", entity: "feature:recommendation/hour" },
    ],
    outputs: [{ name: "score", datatype: "FP64", entity: "model:recommendation" }],
    metrics: { auc: 0.84 + number / 400, log_loss: 0.41 - number / 200 },
    gates,
    reference: "",
    owner: "ada",
    description,
  };
}

function release(
  seq: number,
  number: number,
  stage: ReleaseStage,
  weight: number,
  minutes: number,
  reason: string,
): Release {
  return {
    id: hex(`release ${seq}`, 16),
    model: "recommendation",
    version: String(number),
    stage,
    seq,
    time: minutesAgo(minutes),
    weight,
    previous: String(number - 1),
    approver: seq % 2 === 0 ? "ada" : "grace",
    reason,
    evidence: [],
  };
}

export function modelOf(name: string): ModelDetail | null {
  const found = models.find((model) => model.model === name);
  if (!found) return null;
  if (name !== "recommendation") {
    return {
      model: name,
      kind: found.kind,
      owner: found.owner,
      versions: [{ ...version(Number(found.live_version), 9000, []), model: name, format: "config" }],
      releases: [],
      project: null,
      runs: [],
      datasets: [],
      drift: [],
      traffic: [
        { version: found.live_version, stage: "live", weight: 1 },
        ...(name === "panel" ? [{ version: "5", stage: "shadow" as const, weight: 0 }] : []),
      ],
    };
  }
  return {
    model: name,
    kind: "served",
    owner: "ada",
    versions: [
      version(
        8,
        140,
        [
          gate("auc", true, 0.861, 0.84, "AUC on the held-out week"),
          gate("slice:new-items", false, 0.71, 0.75, "AUC on items younger than a week"),
          gate("latency", true, 3.1, 10, "p99 of one prediction, in ms"),
          gate("fairness", true, 0.03, 0.05, "Largest gap between regions"),
        ],
        "Adds the category's embedding.",
      ),
      version(7, 4300, [
        gate("auc", true, 0.857, 0.84, "AUC on the held-out week"),
        gate("slice:new-items", true, 0.77, 0.75, "AUC on items younger than a week"),
        gate("latency", true, 2.8, 10, "p99 of one prediction, in ms"),
        gate("fairness", true, 0.04, 0.05, "Largest gap between regions"),
      ]),
      version(6, 14_000, [gate("auc", true, 0.855, 0.84, "AUC on the held-out week")]),
    ],
    releases: [
      release(1, 6, "live", 1, 13_900, "First version that passed the new-items slice"),
      release(2, 7, "shadow", 0, 4280, "Compare with v6 on live traffic"),
      release(3, 7, "canary", 0.1, 2900, "Shadow agreed on 98.6 % of requests"),
      release(4, 7, "live", 1, 1450, "Canary held for a day; CTR +1.8 %"),
      release(5, 8, "shadow", 0, 130, "Watch the new-items slice on live traffic"),
    ],
    project: {
      id: "recommendation",
      title: "Shop recommendations",
      owner: "ada",
      risk: "limited",
      model: name,
      path: "projects/recommendation",
      kind: "served",
    },
    runs: [8, 7, 6].map((number, index) => ({
      id: hex(`run ${number}`, 16),
      project: "recommendation",
      model: name,
      state: "succeeded" as const,
      started: minutesAgo([142, 4303, 14_004][index] ?? 0),
      dataset: `catalog@${hex(`data ${number}`, 16)}`,
      code_sha256: hex(`code ${number}`, 64),
      environment_sha256: hex("environment", 64),
      seed: 7,
      parameters: {},
      metrics: { auc: 0.84 + number / 400 },
      artifact_sha256: hex(`artifact ${number}`, 64),
      ended: minutesAgo(([142, 4303, 14_004][index] ?? 0) - 0.7),
      error: "",
      requester: "ada",
      tracking_ref: "",
    })),
    datasets: [8, 7, 6].map((number, index) => ({
      id: `catalog@${hex(`data ${number}`, 16)}`,
      dataset: "catalog",
      sha256: hex(`data ${number}`, 64),
      rows: 48_200 + number * 731,
      size_bytes: 2_310_000 + number * 18_000,
      location: "blobs",
      created: minutesAgo([150, 4310, 14_010][index] ?? 0),
      source: "demo",
      schema: {},
    })),
    drift: drift.map((each) => ({
      ...each,
      finding: findings.find((finding) => finding.series === each.series) ?? null,
    })),
    traffic: [
      { version: "7", stage: "live", weight: 1 },
      { version: "8", stage: "shadow", weight: 0 },
    ],
  };
}
