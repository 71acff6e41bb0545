/** Every call of the API as a function, checked against the generated schema. The only file that knows its paths. */
import createClient from "openapi-fetch";
import { problemOf } from "./request";
import type { paths } from "./schema";
import type {
  EventKind,
  IncidentState,
  ReleaseStage,
  Role,
  Severity,
  VerdictSubject,
  VerdictValue,
} from "./types";

const client = createClient<paths>({
  baseUrl: window.location.origin,
  credentials: "same-origin",
  // Looked up at each call: the mock puts itself in place of the network after this module was loaded.
  fetch: (request) => globalThis.fetch(request),
  querySerializer: (query) => queryText(query),
});

client.use({
  onRequest: ({ request }) => {
    if (request.method !== "GET") request.headers.set("X-Twofold-CSRF", "1");
  },
});

function queryText(query: object): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") text.set(name, String(value));
  }
  return text.toString();
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The data, or the problem thrown. */
async function result<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await answer;
  if (!response.ok) throw problemOf(response.status, response.statusText, error);
  return data as Data;
}

export interface IncidentFilter {
  state?: IncidentState;
  severity?: Severity;
  entity?: string;
  q?: string;
  backfilled?: boolean;
  after?: string;
}

export interface TemplateFilter {
  q?: string;
  by?: "meaning" | "text";
  entity?: string;
  severity?: number;
  order?: "lines" | "errors" | "newest" | "latest";
}

export interface EventFilter {
  kind?: EventKind;
  entity?: string;
  after?: string;
}

interface NewVerdict {
  subject: VerdictSubject;
  ref: string;
  incident: string;
  value: VerdictValue;
  note: string;
}

interface NewRelease {
  version: string;
  stage: ReleaseStage;
  weight: number;
  reason: string;
  accept_unknown: boolean;
}

export interface NewExecution {
  runbook: string;
  incident: string;
  /** What to act on. */
  entity: string;
  dryRun: boolean;
}

const PAGE = 50;
const TRACES = 6;
const LOG_LINES = 100;
const BACKTESTS = 8;
const TEMPLATES = 50;
const SHADOW = 20;
const WARM_UP_S = 3600;

const incidentPath = (incident: string) => ({ params: { path: { incident } } });
const modelPath = (model: string) => ({ params: { path: { model } } });
const executionPath = (execution: string) => ({ params: { path: { execution } } });

export const calls = {
  session: () => result(client.GET("/api/v1/session")),
  signIn: (name: string, secret: string) =>
    result(client.POST("/api/v1/session", { body: { name, secret } })),
  signOut: () => result(client.DELETE("/api/v1/session")),

  home: () => result(client.GET("/api/v1/home")),
  incidents: (filter: IncidentFilter) =>
    result(
      client.GET("/api/v1/incidents", {
        params: {
          query: {
            ...filter,
            state: filter.state ? [filter.state] : null,
            severity: filter.severity ? [filter.severity] : null,
            limit: PAGE,
          },
        },
      }),
    ),
  incident: (incident: string) => result(client.GET("/api/v1/incidents/{incident}", incidentPath(incident))),
  acknowledge: (incident: string) =>
    result(client.POST("/api/v1/incidents/{incident}/acknowledge", incidentPath(incident))),
  resolve: (incident: string) =>
    result(client.POST("/api/v1/incidents/{incident}/resolve", incidentPath(incident))),
  assign: (incident: string, owner: string) =>
    result(
      client.POST("/api/v1/incidents/{incident}/assign", { ...incidentPath(incident), body: { owner } }),
    ),
  note: (incident: string, text: string) =>
    result(client.POST("/api/v1/incidents/{incident}/note", { ...incidentPath(incident), body: { text } })),
  giveVerdict: (body: NewVerdict) => result(client.POST("/api/v1/verdicts", { body })),

  points: (sid: string, start: string, end: string) =>
    result(client.GET("/api/v1/series/{sid}/points", { params: { path: { sid }, query: { start, end } } })),
  trace: (trace_id: string, start: string, end: string) =>
    result(
      client.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id }, query: { start, end } } }),
    ),
  traces: (entity: string, start: string, end: string) =>
    result(client.GET("/api/v1/traces", { params: { query: { entity, start, end, limit: TRACES } } })),
  logs: (entity: string, start: string, end: string, q: string) =>
    result(client.GET("/api/v1/logs", { params: { query: { entity, start, end, q, limit: LOG_LINES } } })),

  templates: (filter: TemplateFilter) =>
    result(client.GET("/api/v1/logs/templates", { params: { query: { ...filter, limit: TEMPLATES } } })),
  templateLines: (template: string, entity: string) =>
    result(
      client.GET("/api/v1/logs/templates/{template}/lines", {
        params: { path: { template }, query: { entity, limit: LOG_LINES } },
      }),
    ),
  explanation: (finding: string) =>
    result(client.GET("/api/v1/findings/{finding}", { params: { path: { finding } } })),
  events: (filter: EventFilter) =>
    result(client.GET("/api/v1/events", { params: { query: { ...filter, limit: PAGE } } })),

  models: () => result(client.GET("/api/v1/models")),
  model: (model: string) => result(client.GET("/api/v1/models/{model}", modelPath(model))),
  release: (model: string, body: NewRelease) =>
    result(client.POST("/api/v1/models/{model}/releases", { ...modelPath(model), body })),
  rollback: (model: string, reason: string) =>
    result(client.POST("/api/v1/models/{model}/rollback", { ...modelPath(model), body: { reason } })),
  train: (project: string) =>
    result(client.POST("/api/v1/projects/{project}/train", { params: { path: { project } } })),

  rehearsal: (model: string, version: string) =>
    result(
      client.GET("/api/v1/detectors/{model}/shadow", { params: { path: { model }, query: { version } } }),
    ),
  trust: (model: string) =>
    result(client.GET("/api/v1/detectors/{model}/trust", { params: { path: { model } } })),
  shadowFindings: (detector: string) =>
    result(client.GET("/api/v1/shadow/findings", { params: { query: { detector, limit: SHADOW } } })),
  forecasts: () => result(client.GET("/api/v1/forecasts")),
  delivery: () => result(client.GET("/api/v1/delivery")),
  backtests: (model: string) =>
    result(client.GET("/api/v1/backtests", { params: { query: { model, limit: BACKTESTS } } })),
  requestBacktest: (model: string, version: string, start: string, end: string) =>
    result(
      client.POST("/api/v1/backtests", {
        body: { model, version, start, end, warm_up_s: WARM_UP_S, labels: [] },
      }),
    ),

  runbooks: () => result(client.GET("/api/v1/runbooks")),
  propose: ({ runbook, incident, entity, dryRun }: NewExecution) =>
    result(
      client.POST("/api/v1/executions", {
        body: { runbook, incident, arguments: { entity }, dry_run: dryRun },
      }),
    ),
  approve: (execution: string, approval_hash: string) =>
    result(
      client.POST("/api/v1/executions/{execution}/approve", {
        ...executionPath(execution),
        body: { approval_hash },
      }),
    ),
  reject: (execution: string, reason: string) =>
    result(
      client.POST("/api/v1/executions/{execution}/reject", { ...executionPath(execution), body: { reason } }),
    ),
  decide: (execution: string, step: string, outcome: "succeeded" | "failed") =>
    result(
      client.POST("/api/v1/executions/{execution}/decide", {
        ...executionPath(execution),
        body: { step, outcome },
      }),
    ),

  killSwitch: () => result(client.GET("/api/v1/kill-switch")),
  setKillSwitch: (engaged: boolean) => result(client.PUT("/api/v1/kill-switch", { body: { engaged } })),
  users: () => result(client.GET("/api/v1/users")),
  createUser: (name: string, role: Role) =>
    result(client.POST("/api/v1/users", { body: { name, role, secret: "" } })),
  changeUser: (user: string, body: { role?: Role; disabled?: boolean }) =>
    result(client.PATCH("/api/v1/users/{user}", { params: { path: { user } }, body })),
  tokens: () => result(client.GET("/api/v1/tokens")),
  createToken: (name: string, scopes: string[]) =>
    result(client.POST("/api/v1/tokens", { body: { name, scopes } })),
  revokeToken: (token: string) =>
    result(client.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } })),
  audit: () => result(client.GET("/api/v1/audit")),

  demo: () => result(client.GET("/api/v1/demo")),
  startFault: (fault: string) =>
    result(client.POST("/api/v1/demo/faults/{fault}", { params: { path: { fault } } })),
  stopFault: (fault: string) =>
    result(client.DELETE("/api/v1/demo/faults/{fault}", { params: { path: { fault } } })),
};
