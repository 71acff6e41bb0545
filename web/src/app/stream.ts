/** Server-sent changes: each names a table of the ledger, and the queries that show it are renewed. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";

const GATHER_MS = 250;

const INCIDENT: QueryKey[] = [["home"], ["incidents"], ["incident"]];
const MODEL: QueryKey[] = [["home"], ["models"], ["model"]];

/** The ledger's tables and the queries that show them. */
const KEYS: Record<string, QueryKey[]> = {
  incidents: INCIDENT,
  alerts: INCIDENT,
  findings: [...INCIDENT, ["explanation"]],
  diagnoses: INCIDENT,
  timeline: [["incident"]],
  executions: [["incident"]],
  verdicts: [["incident"], ["trust"], ["explanation"]],
  events: [["home"], ["delivery"], ["events"]],
  forecasts: [["home"], ["forecasts"]],
  slos: [["home"]],
  backtests: [["backtests"]],
  shadow_findings: [["shadow-findings"], ["rehearsal"]],
  shadow_pages: [["rehearsal"]],
  shadow_times: [["rehearsal"]],
  entities: [["home"]],
  edges: [],
  runbooks: [["runbooks"]],
  model_versions: MODEL,
  releases: MODEL,
  runs: MODEL,
  projects: MODEL,
  dataset_versions: MODEL,
  tokens: [["tokens"]],
  users: [["users"]],
  audit: [["audit"]],
  settings: [["kill-switch"], ["demo"]],
};

/** Query keys that show a table; a table that is not known here renews everything rather than nothing. */
export function keysOf(table: string): QueryKey[] {
  return KEYS[table] ?? [...INCIDENT, ...MODEL, ["kill-switch"], ["demo"]];
}

let live = false;
const watchers = new Set<() => void>();

/** Whether the stream stands, for `useSyncExternalStore`. */
export const liveness = {
  subscribe(watcher: () => void): () => void {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  },
  get: () => live,
};

function setLive(next: boolean): void {
  if (live === next) return;
  live = next;
  for (const watcher of watchers) watcher();
}

/** Follow the stream until the returned function is called. The browser reconnects by itself. */
export function follow(client: QueryClient): () => void {
  const source = new EventSource("/api/v1/stream");
  const tables = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dropped = false;
  const renew = () => {
    timer = undefined;
    const keys = new Map([...tables].flatMap(keysOf).map((key) => [String(key[0]), key]));
    tables.clear();
    for (const queryKey of keys.values()) void client.invalidateQueries({ queryKey });
  };
  source.addEventListener("open", () => {
    setLive(true);
    if (dropped) void client.invalidateQueries();
    dropped = false;
  });
  source.addEventListener("error", () => {
    setLive(false);
    dropped = true;
  });
  source.addEventListener("change", (event: MessageEvent<string>) => {
    tables.add(tableOf(event.data));
    timer ??= setTimeout(renew, GATHER_MS);
  });
  return () => {
    clearTimeout(timer);
    source.close();
    setLive(false);
  };
}

function tableOf(data: string): string {
  try {
    const change: unknown = JSON.parse(data);
    if (typeof change === "object" && change !== null && "table" in change) return String(change.table);
  } catch {
    return "";
  }
  return "";
}
