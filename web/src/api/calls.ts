/** Every call of the API as a typed function; the only file that knows its paths. */
import { problemOf } from "./request";
import type * as t from "./types";

type Query = Record<string, string | number | boolean | undefined>;

async function call<T>(
  method: string,
  path: string,
  options: { query?: Query; body?: unknown } = {},
): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["X-Twofold-CSRF"] = "1";
  if (options.body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(`/api/v1${path}${query.size > 0 ? `?${query}` : ""}`, {
    method,
    headers,
    credentials: "same-origin",
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const body: unknown = text === "" ? undefined : parsed(text);
  if (!response.ok) throw problemOf(response.status, response.statusText, body);
  return body as T;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const get = <T>(path: string, query?: Query) => call<T>("GET", path, query ? { query } : {});
const post = <T>(path: string, body?: unknown) => call<T>("POST", path, { body: body ?? {} });
const id = encodeURIComponent;

export interface IncidentFilter {
  state?: string;
  severity?: string;
  entity?: string;
  q?: string;
  backfilled?: boolean;
  after?: string;
}

export const calls = {
  session: () => get<t.Session>("/session"),
  signIn: (name: string, secret: string) => post<t.Session>("/session", { name, secret }),
  signOut: () => call<void>("DELETE", "/session"),

  home: () => get<t.Home>("/home"),
  incidents: (filter: IncidentFilter) => get<t.Page<t.Incident>>("/incidents", { ...filter, limit: 50 }),
  incident: (incident: string) => get<t.IncidentDetail>(`/incidents/${id(incident)}`),
  acknowledge: (incident: string) => post<t.Incident>(`/incidents/${id(incident)}/acknowledge`),
  resolve: (incident: string) => post<t.Incident>(`/incidents/${id(incident)}/resolve`),
  assign: (incident: string, owner: string) =>
    post<t.Incident>(`/incidents/${id(incident)}/assign`, { owner }),
  note: (incident: string, text: string) => post<t.Incident>(`/incidents/${id(incident)}/note`, { text }),
  giveVerdict: (verdict: Pick<t.Verdict, "subject" | "ref" | "incident" | "value" | "note">) =>
    post<t.Verdict>("/verdicts", verdict),

  points: (sid: string, start: string, end: string, step_s?: number) =>
    get<t.Points>(`/series/${id(sid)}/points`, { start, end, step_s }),
  trace: (trace: string) => get<t.Trace>(`/traces/${id(trace)}`),
  logs: (query: {
    entity?: string;
    start?: string;
    end?: string;
    q?: string;
    severity?: number;
    limit?: number;
  }) => get<t.Page<t.LogLine>>("/logs", query),
  changes: (entity: string, since: string) => get<t.Page<t.ChangeEvent>>("/changes", { entity, since }),

  models: () => get<t.Page<t.ModelSummary>>("/models"),
  model: (model: string) => get<t.ModelDetail>(`/models/${id(model)}`),
  release: (
    model: string,
    release: { version: string; stage: t.ReleaseStage; weight: number; reason: string },
  ) => post<t.Release>(`/models/${id(model)}/releases`, release),
  rollback: (model: string, reason: string) => post<t.Release>(`/models/${id(model)}/rollback`, { reason }),
  train: (project: string) => post<{ workflow_id: string }>(`/projects/${id(project)}/train`),

  approve: (execution: string, approval_hash: string) =>
    post<t.Execution>(`/executions/${id(execution)}/approve`, { approval_hash }),
  reject: (execution: string, reason: string) =>
    post<t.Execution>(`/executions/${id(execution)}/reject`, { reason }),
  decide: (execution: string, step: string, outcome: "succeeded" | "failed") =>
    post<t.Execution>(`/executions/${id(execution)}/decide`, { step, outcome }),

  killSwitch: () => get<{ engaged: boolean }>("/kill-switch"),
  setKillSwitch: (engaged: boolean) =>
    call<{ engaged: boolean }>("PUT", "/kill-switch", { body: { engaged } }),
  tokens: () => get<t.Page<t.Token>>("/tokens"),
  createToken: (name: string, scopes: string[]) =>
    post<{ token: t.Token; secret: string }>("/tokens", { name, scopes }),
  revokeToken: (token: string) => call<void>("DELETE", `/tokens/${id(token)}`),
  audit: () => get<t.Page<t.Audit>>("/audit"),

  demo: () => get<t.Demo>("/demo"),
  startFault: (fault: string) => post<t.Demo>(`/demo/faults/${id(fault)}`),
  stopFault: (fault: string) => call<t.Demo>("DELETE", `/demo/faults/${id(fault)}`),
};
