/** The runbooks that ship with Twofold, shortened, and what asking for one gives. */
import type { Execution, Runbook } from "../api/types";
import { hex } from "./clock";

function runbook(id: string, title: string, description: string, kinds: string[], action: string): Runbook {
  return {
    id,
    title,
    description,
    match: kinds.map((entity_kind) => ({ entity_kind, entity: "", change: "", signal: "" })),
    steps: [
      {
        name: action.replaceAll(".", " "),
        action,
        arguments: {},
        idempotent: false,
        timeout_s: 60,
      },
    ],
    verify: { within_s: 180 },
    approvals: 1,
    cooldown_s: 300,
    blast_radius: 1,
  };
}

export const runbooks: Runbook[] = [
  runbook(
    "restart-service",
    "Restart the service",
    "A restart clears leaks, stuck threads and dead processes.",
    ["service", "database"],
    "restart",
  ),
  runbook(
    "rollback-deploy",
    "Roll back the last deploy",
    "The suspect changed shortly before it went wrong. Put the previous version back.",
    ["service"],
    "deploy.rollback",
  ),
  runbook(
    "rollback-model",
    "Roll back the model",
    "Put the version that was live before back.",
    ["model"],
    "model.rollback",
  ),
];

/** What the server would make of it: a proposal, or a rehearsal that is over at once. */
export function proposal(found: Runbook, incident: string, entity: string, dryRun: boolean): Execution {
  const now = Date.now();
  const created = new Date(now).toISOString();
  const key = hex(`${found.id} ${entity} ${dryRun} ${now}`, 16);
  return {
    id: key,
    runbook: found.id,
    title: `${found.title}: ${entity}`,
    incident,
    state: dryRun ? "succeeded" : "proposed",
    targets: [entity],
    arguments: {
      values: { entity, incident },
      steps: Object.fromEntries(found.steps.map((step) => [step.name, { entity }])),
    },
    approval_hash: hex(`hash ${key}`, 64),
    expires: new Date(now + 30 * 60_000).toISOString(),
    created,
    steps: found.steps.map((step) => ({
      name: step.name,
      action: step.action,
      state: dryRun ? "skipped" : "pending",
      started: null,
      ended: null,
      output: dryRun ? `would call ${step.action} on ${entity}` : "",
    })),
    requester: "admin",
    approver: "",
    approved_at: null,
    ended: dryRun ? created : null,
    result: dryRun ? "dry run: nothing was done" : "",
    dry_run: dryRun,
  };
}
