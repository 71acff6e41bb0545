/** A server in the page: answers the API's paths from mock data. Drives development, tests and screenshots. */
import type { Execution, Incident, User } from "../api/types";
import { backtests } from "./backtests";
import { hex, NOW } from "./clock";
import { explanationOf } from "./explanations";
import { delivery, rehearsal, shadowFindings, trust } from "./governed";
import { changes, demo, eventsOf, home, session, tokens, users } from "./home";
import { detailOf, findings, incidents } from "./incidents";
import { modelOf, models } from "./models";
import { proposal, runbooks } from "./runbooks";
import { pointsOf } from "./series";
import { logs, trace, traces } from "./telemetry";
import { linesOf, templatesOf } from "./templates";

interface Call {
  params: string[];
  query: URLSearchParams;
  body: Record<string, unknown>;
}

type Route = [method: string, path: RegExp, answer: (call: Call) => unknown];

class Problem {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {}
}

const state = { signedIn: true, killed: false };
const page = (items: unknown[]) => ({ items, next: "" });
const missing = (what: string) => new Problem(404, "Not found", `There is no ${what}.`);
const stamp = () => new Date().toISOString();

function change(id: string | undefined, fields: Partial<Incident>): unknown {
  const found = incidents.find((incident) => incident.id === id);
  return found ? Object.assign(found, fields) : missing("such incident");
}

function execution(id: string | undefined, fields: Partial<Execution>): unknown {
  for (const incident of incidents) {
    const found = detailOf(incident.id)?.executions.find((each) => each.id === id);
    if (found) return Object.assign(found, fields);
  }
  return missing("such execution");
}

function listed(query: URLSearchParams): Incident[] {
  const text = (query.get("q") ?? "").toLowerCase();
  return incidents.filter(
    (incident) =>
      (!query.get("state") || incident.state === query.get("state")) &&
      (!query.get("severity") || incident.severity === query.get("severity")) &&
      (query.get("merged") === "true" || !incident.merged_into) &&
      (!query.get("entity") || incident.entities.includes(query.get("entity") ?? "")) &&
      (!query.get("backfilled") || String(incident.backfilled) === query.get("backfilled")) &&
      `${incident.title} ${incident.summary}`.toLowerCase().includes(text),
  );
}

const fault = (name: string | undefined, active: boolean) => {
  const found = demo.faults.find((each) => each.name === name);
  if (!found) return missing("such fault");
  Object.assign(found, { active, since: active ? stamp() : null });
  return demo;
};

function newUser(name: string, role: string): unknown {
  if (users.some((each) => each.name === name)) {
    return new Problem(409, "Conflict", `There is a user ${name} already; choose another name.`);
  }
  const made = { id: name, name, role: role as User["role"], created: stamp(), disabled: false };
  users.push(made);
  return { user: made, secret: hex(`secret of ${name}`, 24) };
}

function proposed(body: Record<string, unknown>): unknown {
  const runbook = runbooks.find((each) => each.id === body.runbook);
  const detail = detailOf(String(body.incident));
  if (!runbook || !detail) return missing("such runbook or incident");
  const given = body.arguments;
  const entity = typeof given === "object" && given && "entity" in given ? String(given.entity) : "";
  if (entity.startsWith("database:")) {
    return new Problem(404, "Not found", `The inventory declares no target ${entity}.`);
  }
  const made = proposal(runbook, detail.incident.id, entity, body.dry_run === true);
  detail.executions.unshift(made);
  return made;
}

const ROUTES: Route[] = [
  [
    "GET",
    /^\/session$/,
    () => (state.signedIn ? session : new Problem(401, "Not signed in", "Sign in first.")),
  ],
  [
    "POST",
    /^\/session$/,
    ({ body }) => {
      if (body.secret === "wrong") return new Problem(401, "Not signed in", "Name or secret is wrong.");
      state.signedIn = true;
      return session;
    },
  ],
  [
    "DELETE",
    /^\/session$/,
    () => {
      state.signedIn = false;
    },
  ],
  ["GET", /^\/home$/, home],
  ["GET", /^\/incidents$/, ({ query }) => page(listed(query))],
  ["GET", /^\/incidents\/([^/]+)$/, ({ params }) => detailOf(params[0] ?? "") ?? missing("such incident")],
  [
    "POST",
    /^\/incidents\/([^/]+)\/acknowledge$/,
    ({ params }) => change(params[0], { state: "acknowledged", owner: "admin" }),
  ],
  [
    "POST",
    /^\/incidents\/([^/]+)\/resolve$/,
    ({ params }) => change(params[0], { state: "resolved", end: stamp() }),
  ],
  [
    "POST",
    /^\/incidents\/([^/]+)\/assign$/,
    ({ params, body }) => change(params[0], { owner: String(body.owner) }),
  ],
  [
    "POST",
    /^\/incidents\/([^/]+)\/note$/,
    ({ params, body }) => {
      const id = params[0] ?? "";
      const entry = {
        id: stamp(),
        incident: id,
        time: stamp(),
        kind: "note" as const,
        text: String(body.text),
      };
      detailOf(id)?.timeline.push({ ...entry, entity: "", actor: "admin", ref: "" });
      return change(id, {});
    },
  ],
  ["POST", /^\/verdicts$/, ({ body }) => ({ ...body, id: stamp(), author: "admin", time: stamp() })],
  [
    "GET",
    /^\/series\/([^/]+)\/points$/,
    ({ params, query }) =>
      pointsOf(params[0] ?? "", query.get("start") ?? "", query.get("end") ?? "", findings, NOW),
  ],
  ["GET", /^\/traces$/, () => ({ items: traces, next: "" })],
  ["GET", /^\/traces\/([^/]+)$/, () => trace],
  ["GET", /^\/logs$/, ({ query }) => page(logs.filter((line) => line.body.includes(query.get("q") ?? "")))],
  ["GET", /^\/logs\/templates$/, ({ query }) => templatesOf(query)],
  ["GET", /^\/logs\/templates\/([^/]+)\/lines$/, ({ params }) => page(linesOf(params[0] ?? ""))],
  ["GET", /^\/findings\/([^/]+)$/, ({ params }) => explanationOf(params[0] ?? "") ?? missing("such finding")],
  ["GET", /^\/events$/, ({ query }) => page(eventsOf(query))],
  ["GET", /^\/changes$/, () => page(changes)],
  ["GET", /^\/models$/, () => page(models)],
  ["GET", /^\/models\/([^/]+)$/, ({ params }) => modelOf(params[0] ?? "") ?? missing("such model")],
  [
    "POST",
    /^\/models\/([^/]+)\/(releases|rollback)$/,
    () => new Problem(409, "Conflict", "The mock keeps its releases as they are."),
  ],
  ["POST", /^\/projects\/([^/]+)\/train$/, () => ({ workflow_id: hex("workflow", 32) })],
  [
    "GET",
    /^\/backtests$/,
    ({ query }) => page(backtests.filter((each) => each.model === query.get("model"))),
  ],
  ["POST", /^\/backtests$/, () => backtests[0]],
  ["GET", /^\/detectors\/([^/]+)\/shadow$/, () => rehearsal],
  ["GET", /^\/detectors\/([^/]+)\/trust$/, () => trust],
  ["GET", /^\/shadow\/findings$/, () => page(shadowFindings)],
  ["GET", /^\/delivery$/, () => delivery],
  [
    "GET",
    /^\/forecasts$/,
    () => ({
      open: home().forecasts,
      ended: [],
      calibration: [
        { low: 0.8, high: 0.9, decided: 12, hit: 10 },
        { low: 0.9, high: 0.95, decided: 0, hit: 0 },
        { low: 0.95, high: 1, decided: 31, hit: 30 },
      ],
    }),
  ],
  ["GET", /^\/runbooks$/, () => page(runbooks)],
  ["POST", /^\/executions$/, ({ body }) => proposed(body)],
  [
    "POST",
    /^\/executions\/([^/]+)\/approve$/,
    ({ params }) => execution(params[0], { state: "approved", approver: "admin", approved_at: stamp() }),
  ],
  [
    "POST",
    /^\/executions\/([^/]+)\/reject$/,
    ({ params, body }) => execution(params[0], { state: "rejected", result: String(body.reason) }),
  ],
  ["POST", /^\/executions\/([^/]+)\/decide$/, ({ params }) => execution(params[0], { state: "succeeded" })],
  ["GET", /^\/kill-switch$/, () => ({ engaged: state.killed })],
  [
    "PUT",
    /^\/kill-switch$/,
    ({ body }) => {
      state.killed = body.engaged === true;
      return { engaged: state.killed };
    },
  ],
  ["GET", /^\/users$/, () => page(users)],
  ["POST", /^\/users$/, ({ body }) => newUser(String(body.name), String(body.role))],
  [
    "PATCH",
    /^\/users\/([^/]+)$/,
    ({ params, body }) => {
      const found = users.find((each) => each.id === params[0]);
      return found ? Object.assign(found, body) : missing("such user");
    },
  ],
  ["GET", /^\/tokens$/, () => page(tokens)],
  [
    "POST",
    /^\/tokens$/,
    ({ body }) => {
      const scopes = Array.isArray(body.scopes) ? body.scopes.map(String) : [];
      const token = {
        id: stamp(),
        user: "admin",
        name: String(body.name),
        kind: "token",
        scopes,
        created: stamp(),
        expires: null,
        revoked: false,
      };
      tokens.unshift(token);
      return { token, secret: `tf_${hex(token.id, 40)}` };
    },
  ],
  [
    "DELETE",
    /^\/tokens\/([^/]+)$/,
    ({ params }) => {
      const token = tokens.find((each) => each.id === params[0]);
      if (token) token.revoked = true;
    },
  ],
  [
    "GET",
    /^\/audit$/,
    () =>
      page(
        ["session.create", "execution.reject", "execution.approve", "release.create", "token.create"].map(
          (action, index) => ({
            id: hex(action, 16),
            seq: 40 - index,
            time: new Date(NOW - (index + 0.4) * 180_000).toISOString(),
            actor: index === 0 ? "admin" : "grace",
            action,
            target: hex(`target ${action}`, 12),
            detail: {},
          }),
        ),
      ),
  ],
  ["GET", /^\/demo$/, () => demo],
  ["POST", /^\/demo\/faults\/([^/]+)$/, ({ params }) => fault(params[0], true)],
  ["DELETE", /^\/demo\/faults\/([^/]+)$/, ({ params }) => fault(params[0], false)],
];

/** The mock's answer to one request, with the headers a real server would send. */
export function answer(method: string, url: URL, body: string): Response {
  const path = url.pathname.replace(/^\/api\/v1/, "");
  for (const [routeMethod, pattern, make] of ROUTES) {
    const match = method === routeMethod ? pattern.exec(path) : null;
    if (!match) continue;
    const call = {
      params: match.slice(1).map(decodeURIComponent),
      query: url.searchParams,
      body: parsed(body),
    };
    return respond(make(call));
  }
  return respond(new Problem(404, "Not found", `The mock has no ${method} ${path}.`));
}

function parsed(body: string): Record<string, unknown> {
  const value: unknown = body === "" ? {} : JSON.parse(body);
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function respond(result: unknown): Response {
  if (result instanceof Problem) {
    return Response.json(
      { type: "about:blank", status: result.status, title: result.title, detail: result.detail },
      { status: result.status, headers: { "content-type": "application/problem+json" } },
    );
  }
  return result === undefined ? new Response(null, { status: 204 }) : Response.json(result);
}

/** A stream that stands and stays silent, except for one change a while. */
class MockEventSource extends EventTarget {
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(readonly url: string) {
    super();
    setTimeout(() => this.dispatchEvent(new Event("open")), 20);
    this.timer = setInterval(() => {
      const data = JSON.stringify({ seq: 1, table: "incidents", id: "" });
      this.dispatchEvent(new MessageEvent("change", { data }));
    }, 15_000);
  }

  close(): void {
    clearInterval(this.timer);
  }
}

/** Put the mock in place of the network. */
export function install(): void {
  const real = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(
      input instanceof Request ? input : new URL(String(input), location.origin),
      init,
    );
    const url = new URL(request.url);
    return url.pathname.startsWith("/api/")
      ? answer(request.method, url, await request.text())
      : real(input, init);
  };
  Object.defineProperty(globalThis, "EventSource", { value: MockEventSource, configurable: true });
}
