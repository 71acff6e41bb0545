import type { Diagnosis, Execution, ExecutionState, Incident, Runbook } from "../../api/types";

const OVER: ReadonlySet<ExecutionState> = new Set(["succeeded", "failed", "rejected", "expired"]);

/** Is there nothing left to do or to wait for? */
export function isOver(execution: Execution): boolean {
  return OVER.has(execution.state);
}

/** Those that still need someone or something, then what was done, then rehearsals; each newest first. */
export function currentFirst(executions: readonly Execution[]): Execution[] {
  const place = (execution: Execution) => (isOver(execution) ? (execution.dry_run ? 2 : 1) : 0);
  return [...executions].sort((a, b) => place(a) - place(b) || Date.parse(b.created) - Date.parse(a.created));
}

/** What people are asked to approve: for each step what it is given. */
export function argumentRows(execution: Execution): [name: string, value: string][] {
  const { steps, ...rest } = execution.arguments;
  delete rest.values; // what the steps' arguments were filled from
  const given = isRecord(steps) ? Object.entries(steps) : [];
  return [
    ...Object.entries(rest).map(([name, value]): [string, string] => [name, argumentText(value)]),
    ...given.flatMap(([step, values]) =>
      Object.entries(isRecord(values) ? values : { "": values }).map(([name, value]): [string, string] => [
        [step, name].filter(Boolean).join(" · "),
        argumentText(value),
      ]),
    ),
  ];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** On what a person may act: suspects first, then the other entities of the incident. */
export function candidates(diagnosis: Diagnosis | null, incident: Incident): string[] {
  return [...new Set([...(diagnosis?.suspects ?? []).map(({ entity }) => entity), ...incident.entities])];
}

/** Runbooks that are made for this kind of entity first, otherwise in their own order. */
export function fittingFirst(runbooks: readonly Runbook[], entity: string): Runbook[] {
  const kind = entity.split(":")[0];
  const fits = (runbook: Runbook) => runbook.match.some((match) => match.entity_kind === kind);
  return [...runbooks].sort((a, b) => Number(fits(b)) - Number(fits(a)));
}

/** An argument's value as text. */
export function argumentText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
