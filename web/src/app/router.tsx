import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { queries } from "../api/queries";
import { ProblemError } from "../api/request";
import type { EventKind, IncidentState, Severity } from "../api/types";
import { NotFound, RouteProblem } from "./Fallbacks";
import { Shell } from "./Shell";

interface Context {
  client: QueryClient;
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;

const root = createRootRouteWithContext<Context>()({ component: Outlet, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string } => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import("../features/auth/LoginPage"), "LoginPage"),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  component: Shell,
  errorComponent: RouteProblem,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.client.ensureQueryData(queries.session());
    } catch (error) {
      if (error instanceof ProblemError && error.status === 401) {
        throw redirect({ to: "/login", search: location.href === "/" ? {} : { next: location.href } });
      }
      throw error;
    }
  },
});

const home = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  component: lazyRouteComponent(() => import("../features/home/HomePage"), "HomePage"),
});

/** One of the known words, or nothing: an address may hold anything. */
function oneOf<Word extends string>(words: readonly Word[], value: unknown): Word | undefined {
  return words.find((word) => word === value);
}

const STATES: readonly IncidentState[] = ["open", "acknowledged", "resolved"];
const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];

interface IncidentsSearch {
  state?: IncidentState;
  severity?: Severity;
  entity?: string;
  q?: string;
  past?: "none" | "only";
}

const incidents = createRoute({
  getParentRoute: () => signedIn,
  path: "/incidents",
  validateSearch: (search: Record<string, unknown>): IncidentsSearch => ({
    state: oneOf(STATES, search.state),
    severity: oneOf(SEVERITIES, search.severity),
    entity: text(search.entity),
    q: text(search.q),
    past: oneOf(["none", "only"], search.past),
  }),
  component: lazyRouteComponent(() => import("../features/incidents/IncidentsPage"), "IncidentsPage"),
});

const incident = createRoute({
  getParentRoute: () => signedIn,
  path: "/incidents/$id",
  validateSearch: (search: Record<string, unknown>): { suspect?: string } => ({
    suspect: text(search.suspect),
  }),
  component: lazyRouteComponent(() => import("../features/incidents/IncidentPage"), "IncidentPage"),
});

const finding = createRoute({
  getParentRoute: () => signedIn,
  path: "/findings/$id",
  component: lazyRouteComponent(() => import("../features/findings/FindingPage"), "FindingPage"),
});

interface LogsSearch {
  q?: string;
  by?: "text";
  entity?: string;
  errors?: "only";
  order?: "errors" | "newest" | "latest";
  template?: string;
}

const logs = createRoute({
  getParentRoute: () => signedIn,
  path: "/logs",
  validateSearch: (search: Record<string, unknown>): LogsSearch => ({
    q: text(search.q),
    by: oneOf(["text"], search.by),
    entity: text(search.entity),
    errors: oneOf(["only"], search.errors),
    order: oneOf(["errors", "newest", "latest"], search.order),
    template: text(search.template),
  }),
  component: lazyRouteComponent(() => import("../features/logs/LogsPage"), "LogsPage"),
});

const KINDS: readonly EventKind[] = ["change", "notice", "external_alert", "new_template"];

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): { kind?: EventKind; entity?: string } => ({
    kind: oneOf(KINDS, search.kind),
    entity: text(search.entity),
  }),
  component: lazyRouteComponent(() => import("../features/events/EventsPage"), "EventsPage"),
});

const models = createRoute({
  getParentRoute: () => signedIn,
  path: "/models",
  component: lazyRouteComponent(() => import("../features/models/ModelsPage"), "ModelsPage"),
});

const model = createRoute({
  getParentRoute: () => signedIn,
  path: "/models/$name",
  validateSearch: (search: Record<string, unknown>): { feature?: string; version?: string } => ({
    feature: text(search.feature),
    version: text(search.version),
  }),
  component: lazyRouteComponent(() => import("../features/models/ModelPage"), "ModelPage"),
});

const delivery = createRoute({
  getParentRoute: () => signedIn,
  path: "/delivery",
  component: lazyRouteComponent(() => import("../features/delivery/DeliveryPage"), "DeliveryPage"),
});

const demo = createRoute({
  getParentRoute: () => signedIn,
  path: "/demo",
  component: lazyRouteComponent(() => import("../features/demo/DemoPage"), "DemoPage"),
});

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  component: lazyRouteComponent(() => import("../features/settings/SettingsPage"), "SettingsPage"),
});

const routeTree = root.addChildren([
  login,
  signedIn.addChildren([
    home,
    incidents,
    incident,
    finding,
    logs,
    events,
    models,
    model,
    delivery,
    demo,
    settings,
  ]),
]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree,
    context: { client },
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultErrorComponent: RouteProblem,
    defaultNotFoundComponent: NotFound,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
