/** Findings that explain themselves. */
import type { Explanation, Finding } from "../api/types";
import { hex, minutesAgo } from "./clock";
import { findings, LIVE_ID } from "./incidents";

const PAST_ID = hex("past dbindex", 16);

/** Why a mock finding fired; undefined for an unknown one. */
export function explanationOf(id: string): Explanation | undefined {
  const finding = findings.find((each) => each.id === id);
  if (!finding) return undefined;
  const beside = findings.filter((each) => each.entity === finding.entity);
  const total = beside.reduce((sum, each) => sum + each.score, 0);
  return {
    finding,
    alert: null,
    incident: LIVE_ID,
    incident_title: "Payment is slow and fails; checkout and gateway follow",
    reasons: [
      "Expected was 118 ms, within 90 ms to 150 ms; the worst value was 1.23 s, 41.0 usual deviations away",
      "By chance its worst sample comes in less than one of 10,000,000 of this series; the budget of 0.05 false findings a day, at one sample every 10 s, sets how rare several in a row must be",
      "It was told at the 3rd sample out of the band, 20 s after the onset",
    ],
    replayed: true,
    contributions: beside.map((each) => ({
      finding: each.id,
      series: each.series,
      metric: each.metric,
      labels_text: "POST /charge",
      direction: each.direction,
      score: each.score,
      effect: each.effect ?? 0,
      share: each.score / total,
      reason: each.reason,
    })),
    past: past(finding),
    outcomes: { right: 1, wrong: 0, noise: 1, unjudged: 1 },
    detector: {
      id: finding.detector,
      model: "panel",
      version: "4",
      live: true,
      released: minutesAgo(9000),
      approver: "grace",
    },
    silencers: [
      {
        kind: "end",
        text: "It closes once the series stays below about 150 ms for 30 s",
        setting: "",
        now: 1.23,
        needed: 0.15,
        tried: false,
      },
      {
        kind: "value",
        text: "Silent if it had stayed below 171 ms, with the same shape: 5% of the way from 118 ms to 1.23 s",
        setting: "",
        now: 1.23,
        needed: 0.171,
        tried: true,
      },
      {
        kind: "duration",
        text: "Silent if it had been back in its band within 20 s of the onset",
        setting: "",
        now: null,
        needed: 20,
        tried: true,
      },
      {
        kind: "budget",
        text: "No budget of false findings would have silenced it, down to 1e-09 a series and day",
        setting: "",
        now: 0.05,
        needed: null,
        tried: true,
      },
      {
        kind: "floor",
        text: "Silent if a change of span.duration.p95 had to be 23.6 times as large to matter: 1.11 s at this level",
        setting: 'floors=["span.duration.p95=23.6"]',
        now: 1,
        needed: 23.6,
        tried: true,
      },
      {
        kind: "level",
        text: "If it stays where it is, it counts as the new level after 30 min",
        setting: "",
        now: null,
        needed: 1800,
        tried: false,
      },
    ],
  };
}

function past(finding: Finding): Explanation["past"] {
  const line = { entity: finding.entity, score: 7.1, incident: "", incident_title: "", verdict: null };
  return [
    {
      ...line,
      finding: hex("past finding 1", 16),
      kinship: "series",
      onset: minutesAgo(2900),
      lasted_s: 1320,
      reason: "p95 of POST /charge was 0.9 s, expected 95 – 160 ms.",
      incident: PAST_ID,
      incident_title: "Orders are slow since the index went",
      verdict: "right",
      outcome:
        "ada called it right. Incident 'Orders are slow since the index went', resolved after 22 min. The cause was database:orders, as ada confirmed. Put the index back helped",
    },
    {
      ...line,
      finding: hex("past finding 2", 16),
      kinship: "series",
      onset: minutesAgo(8700),
      lasted_s: 240,
      reason: "p95 of POST /charge was 310 ms, expected 90 – 150 ms.",
      verdict: "noise",
      outcome: "grace called it noise: nightly settlement. No incident came of it",
    },
    {
      ...line,
      entity: "service:checkout",
      finding: hex("past finding 3", 16),
      kinship: "metric",
      onset: minutesAgo(12_100),
      lasted_s: 90,
      reason: "p95 of POST /checkout was 640 ms, expected 190 – 300 ms.",
      outcome: "It was part of no alert",
    },
  ];
}
