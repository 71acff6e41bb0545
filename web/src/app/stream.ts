/** Server-sent changes: each names a table of the ledger, and the queries that show it are renewed. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";

const GATHER_MS = 250;

const INCIDENT: QueryKey[] = [["home"], ["incidents"], ["incident"]];
const MODEL: QueryKey[] = [["home"], ["models"], ["model"]];

/** Query keys that show a table; an unknown table renews every list rather than none. */
export function keysOf(table: string): QueryKey[] {
  const name = table.replace(/s$/, "");
  switch (name) {
    case "incident":
    case "alert":
    case "finding":
    case "diagnosi":
    case "diagnose":
    case "timeline":
    case "timeline_entry":
    case "timeline_entrie":
    case "execution":
    case "verdict":
      return INCIDENT;
    case "event":
      return [["home"], ["changes"], ["incident"]];
    case "model_version":
    case "release":
    case "run":
    case "project":
    case "dataset_version":
      return MODEL;
    case "token":
    case "user":
      return [["tokens"]];
    case "audit":
      return [["audit"]];
    case "entity":
    case "entitie":
    case "edge":
    case "serie":
    case "checkpoint":
      return [["home"]];
    default:
      return [...INCIDENT, ...MODEL, ["kill-switch"], ["demo"]];
  }
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
