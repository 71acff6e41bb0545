import type { Execution, ExecutionState } from "../../api/types";

const OVER: ReadonlySet<ExecutionState> = new Set(["succeeded", "failed", "rejected", "expired"]);

/** Is there nothing left to do or to wait for? */
export function isOver(execution: Execution): boolean {
  return OVER.has(execution.state);
}

/** Those that still need someone or something first, then by age, newest first. */
export function currentFirst(executions: readonly Execution[]): Execution[] {
  return [...executions].sort(
    (a, b) => Number(isOver(a)) - Number(isOver(b)) || Date.parse(b.created) - Date.parse(a.created),
  );
}

/** An argument's value as text. */
export function argumentText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
