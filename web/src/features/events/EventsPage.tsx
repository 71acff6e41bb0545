import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { ChangeEvent, EventKind } from "../../api/types";
import { strings } from "../../strings";
import { ChangeIcon } from "../../ui/ChangeIcon";
import { EntityName } from "../../ui/EntityName";
import { Muted, PageBody } from "../../ui/Facts";
import { safeLink } from "../../ui/link";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import css from "./Events.module.css";

const route = getRouteApi("/signed-in/events");
const words = strings.events;
const NAMES: Record<EventKind, string> = words.kinds;
const KINDS = [
  { value: "", label: `${words.kind}: ${words.any}` },
  ...Object.entries(NAMES).map(([value, label]) => ({ value, label })),
];
const COLUMNS: Column[] = [
  { name: words.columns.what },
  { name: words.columns.kind, wideOnly: true },
  { name: words.columns.entity, wideOnly: true },
  { name: words.columns.source, wideOnly: true },
  { name: words.columns.when, number: true },
];

/** Changes, notices, alerts from outside and new log lines; the filter stands in the address. */
export function EventsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const events = useInfiniteQuery(queries.events(search));
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  const set = (name: string, value: string) =>
    void navigate({ search: (before) => ({ ...before, [name]: value || undefined }), replace: true });
  return (
    <PageBody title={words.title}>
      <search>
        <form className={css.filters} aria-label={words.filter} onSubmit={(event) => event.preventDefault()}>
          <NativeSelect
            aria-label={words.kind}
            data={KINDS}
            value={search.kind ?? ""}
            onChange={(event) => set("kind", event.currentTarget.value)}
          />
          <TextInput
            aria-label={words.entity}
            placeholder={words.entity}
            defaultValue={search.entity ?? ""}
            onBlur={(event) => set("entity", event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") set("entity", event.currentTarget.value);
            }}
          />
        </form>
      </search>
      <Panel title={words.title} hint={words.hint} flush>
        {events.isPending ? <Loading rows={8} /> : null}
        {events.isError ? <Problem error={events.error} retry={() => void events.refetch()} /> : null}
        {events.isSuccess && items.length === 0 ? (
          <Empty title={words.empty}>{words.emptyDetail}</Empty>
        ) : null}
        {items.length > 0 ? (
          <Table label={words.title} columns={COLUMNS}>
            {items.map((event) => (
              <EventRow key={event.id} event={event} />
            ))}
          </Table>
        ) : null}
        {events.hasNextPage ? (
          <div className={css.more}>
            <Button
              variant="default"
              loading={events.isFetchingNextPage}
              onClick={() => void events.fetchNextPage()}
            >
              {words.more}
            </Button>
          </div>
        ) : null}
      </Panel>
    </PageBody>
  );
}

function EventRow({ event }: { event: ChangeEvent }) {
  const link = safeLink(event.link);
  return (
    <tr>
      <Cell>
        <span className={css.what}>
          {event.kind === "change" ? <ChangeIcon change={event.change} /> : null}{" "}
          {link ? (
            <a href={link} target="_blank" rel="noreferrer noopener" title={words.link}>
              {event.title}
            </a>
          ) : (
            event.title
          )}
        </span>{" "}
        {event.version ? <Muted>{event.version}</Muted> : null}
        {event.state ? <Muted> {event.state}</Muted> : null}
        <div className={css.narrow}>
          {NAMES[event.kind]} · <EntityName id={event.entity} />
        </div>
      </Cell>
      <Cell wideOnly>{NAMES[event.kind]}</Cell>
      <Cell wideOnly>
        <EntityName id={event.entity} />
      </Cell>
      <Cell wideOnly>
        <Muted>{event.source}</Muted>
      </Cell>
      <Cell number>
        <Ago time={event.time} />
      </Cell>
    </tr>
  );
}
