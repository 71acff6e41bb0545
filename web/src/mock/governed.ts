import type { Delivery, Rehearsal, ShadowFinding, Trust } from "../api/types";
import { hex, minutesAgo } from "./clock";
import { findings, LIVE_ID } from "./incidents";

const DETECTOR = "panel@5";

/** A shadow that would have paged once more than the live version, and once less. */
export const rehearsal: Rehearsal = {
  detector: DETECTOR,
  champion: "panel@4",
  since: minutesAgo(2880),
  until: minutesAgo(0),
  findings: 61,
  champion_findings: 74,
  pages: 4,
  champion_pages: 4,
  both: 3,
  excess: 0.75,
  judged_s: 170_400,
  points: 58_212_400,
  only_shadow: [
    {
      id: `${DETECTOR}/${hex("shadow page", 16)}`,
      detector: DETECTOR,
      title: "Memory of search grows",
      state: "resolved",
      severity: "warning",
      start: minutesAgo(700),
      detected: minutesAgo(698),
      last_seen: minutesAgo(640),
      end: minutesAgo(640),
      entities: ["service:search"],
      alerts: 1,
      merged_into: "",
    },
  ],
  only_champion: [LIVE_ID],
};

export const shadowFindings: ShadowFinding[] = findings.slice(0, 2).map((finding) => ({
  id: `${DETECTOR}/${finding.id}`,
  detector: DETECTOR,
  entity: finding.entity,
  series: finding.series,
  metric: finding.metric,
  onset: finding.onset,
  state: finding.state,
  finding,
}));

export const trust: Trust = {
  model: "panel",
  version: "4",
  since: minutesAgo(9000),
  live: { detector: "panel@4", right: 9, false: 2, low: 0.62, middle: 0.8, high: 0.91, incidents: [] },
  champion: { detector: "panel@3", right: 14, false: 3, low: 0.68, middle: 0.81, high: 0.9, incidents: [] },
  worse: 0.21,
  false_per_day: 0.3,
  least_false_per_day: 0.06,
  lost: "",
};

const figure = (metric: string, unit: string, value: number, median: number) => ({
  metric,
  series: hex(metric, 16),
  unit,
  value,
  median,
  points: 84,
  time: minutesAgo(31),
});

export const delivery: Delivery = {
  pipelines: [
    {
      entity: "job:shop/cart/test",
      repository: "shop/cart",
      pipeline: "test",
      environment: "",
      figures: [
        figure("ci.pipeline.duration", "s", 312, 264),
        figure("ci.pipeline.queued", "s", 8, 5),
        figure("ci.pipeline.failed_ratio", "1", 0.15, 0.1),
      ],
    },
  ],
  deployments: [
    {
      entity: "service:cart",
      repository: "",
      pipeline: "",
      environment: "production",
      figures: [
        figure("deploy.lead_time", "s", 5400, 7200),
        figure("deploy.frequency", "1/d", 1.9, 1.7),
        figure("deploy.change_failure_ratio", "1", 0.05, 0.1),
      ],
    },
  ],
};
