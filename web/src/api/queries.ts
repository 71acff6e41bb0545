/** What is asked of the server and under which key it is kept, shared by all features. */
import { infiniteQueryOptions, queryOptions, useSuspenseQuery } from "@tanstack/react-query";
import { calls, type EventFilter, type IncidentFilter, type TemplateFilter } from "./calls";

/** The stream renews what it knows of; this is for what it cannot tell (rates, lag). */
const SLOW_MS = 15_000;
/** While something runs whose progress is shown. */
const BUSY_MS = 1000;

export const queries = {
  session: () =>
    queryOptions({
      queryKey: ["session"],
      queryFn: calls.session,
      staleTime: Number.POSITIVE_INFINITY,
      retry: false,
    }),
  home: () => queryOptions({ queryKey: ["home"], queryFn: calls.home, refetchInterval: SLOW_MS }),
  incidents: (filter: IncidentFilter) =>
    infiniteQueryOptions({
      queryKey: ["incidents", filter],
      queryFn: ({ pageParam }) => calls.incidents({ ...filter, after: pageParam }),
      initialPageParam: "",
      getNextPageParam: (last) => last.next || undefined,
      placeholderData: (previous) => previous,
    }),
  incident: (id: string) => queryOptions({ queryKey: ["incident", id], queryFn: () => calls.incident(id) }),
  points: (sid: string, start: string, end: string) =>
    queryOptions({
      queryKey: ["points", sid, start, end],
      queryFn: () => calls.points(sid, start, end),
      staleTime: 10_000,
      placeholderData: (previous) => previous,
    }),
  trace: (id: string, start: string, end: string) =>
    queryOptions({
      queryKey: ["trace", id, start, end],
      queryFn: () => calls.trace(id, start, end),
      staleTime: 60_000,
    }),
  traces: (entity: string, start: string, end: string) =>
    queryOptions({
      queryKey: ["traces", entity, start, end],
      queryFn: () => calls.traces(entity, start, end),
      staleTime: 60_000,
    }),
  logs: (entity: string, start: string, end: string, q: string) =>
    queryOptions({
      queryKey: ["logs", entity, start, end, q],
      queryFn: () => calls.logs(entity, start, end, q),
      staleTime: 30_000,
    }),
  templates: (filter: TemplateFilter) =>
    queryOptions({
      queryKey: ["templates", filter],
      queryFn: () => calls.templates(filter),
      refetchInterval: SLOW_MS,
      placeholderData: (previous) => previous,
    }),
  templateLines: (template: string, entity: string) =>
    queryOptions({
      queryKey: ["template-lines", template, entity],
      queryFn: () => calls.templateLines(template, entity),
      staleTime: 5000,
    }),
  explanation: (finding: string) =>
    queryOptions({
      queryKey: ["explanation", finding],
      queryFn: () => calls.explanation(finding),
      staleTime: 10_000,
    }),
  events: (filter: EventFilter) =>
    infiniteQueryOptions({
      queryKey: ["events", filter],
      queryFn: ({ pageParam }) => calls.events({ ...filter, after: pageParam }),
      initialPageParam: "",
      getNextPageParam: (last) => last.next || undefined,
      placeholderData: (previous) => previous,
    }),
  models: () => queryOptions({ queryKey: ["models"], queryFn: calls.models, refetchInterval: SLOW_MS }),
  model: (name: string) =>
    queryOptions({ queryKey: ["model", name], queryFn: () => calls.model(name), refetchInterval: SLOW_MS }),
  rehearsal: (model: string, version: string) =>
    queryOptions({
      queryKey: ["rehearsal", model, version],
      queryFn: () => calls.rehearsal(model, version),
      refetchInterval: SLOW_MS,
    }),
  trust: (model: string) =>
    queryOptions({ queryKey: ["trust", model], queryFn: () => calls.trust(model), refetchInterval: SLOW_MS }),
  shadowFindings: (detector: string) =>
    queryOptions({
      queryKey: ["shadow-findings", detector],
      queryFn: () => calls.shadowFindings(detector),
      refetchInterval: SLOW_MS,
    }),
  forecasts: () => queryOptions({ queryKey: ["forecasts"], queryFn: calls.forecasts, staleTime: 60_000 }),
  delivery: () => queryOptions({ queryKey: ["delivery"], queryFn: calls.delivery, refetchInterval: SLOW_MS }),
  backtests: (model: string) =>
    queryOptions({
      queryKey: ["backtests", model],
      queryFn: () => calls.backtests(model),
      refetchInterval: (query) =>
        query.state.data?.items.some((each) => each.state === "requested" || each.state === "running")
          ? BUSY_MS
          : false,
    }),
  runbooks: () => queryOptions({ queryKey: ["runbooks"], queryFn: calls.runbooks, staleTime: 60_000 }),
  killSwitch: () => queryOptions({ queryKey: ["kill-switch"], queryFn: calls.killSwitch }),
  users: () => queryOptions({ queryKey: ["users"], queryFn: calls.users }),
  tokens: () => queryOptions({ queryKey: ["tokens"], queryFn: calls.tokens }),
  audit: () => queryOptions({ queryKey: ["audit"], queryFn: calls.audit }),
  demo: () => queryOptions({ queryKey: ["demo"], queryFn: calls.demo, staleTime: 5000 }),
};

/** Who is signed in. Only below the signed-in part of the page, where the answer is in the cache. */
export function useSession() {
  return useSuspenseQuery(queries.session()).data;
}

/** May the signed-in user do this? The server asks again; this only spares a useless button. */
export function useCan(permission: string): boolean {
  return useSession().permissions.includes(permission);
}
