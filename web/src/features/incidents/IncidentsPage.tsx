import { Button, Kbd } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useRef } from "react";
import { queries } from "../../api/queries";
import type { Incident } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { Muted, PageBody } from "../../ui/Facts";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago, Span } from "../../ui/Time";
import { Filters } from "./Filters";
import css from "./Incidents.module.css";
import { moveFocus } from "./keys";

const route = getRouteApi("/signed-in/incidents");
const SHOWN_ENTITIES = 2;

/** All incidents; every filter stands in the address. */
export function IncidentsPage() {
  const search = route.useSearch();
  const list = useRef<HTMLDivElement>(null);
  const { past, ...filter } = search;
  const incidents = useInfiniteQuery(
    queries.incidents({ ...filter, ...(past === undefined ? {} : { backfilled: past === "only" }) }),
  );
  useHotkeys([
    ["j", () => moveFocus(list.current, 1)],
    ["k", () => moveFocus(list.current, -1)],
    ["ArrowDown", () => moveFocus(list.current, 1)],
    ["ArrowUp", () => moveFocus(list.current, -1)],
  ]);
  const items = incidents.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <PageBody title={strings.incidents.title}>
      <Filters />
      <div ref={list}>
        <Panel
          title={strings.incidents.title}
          hint={incidents.isPending ? "" : `${items.length}${incidents.hasNextPage ? "+" : ""}`}
          aside={<Keys />}
          flush
        >
          {incidents.isPending ? <Loading rows={8} /> : null}
          {incidents.isError ? (
            <Problem error={incidents.error} retry={() => void incidents.refetch()} />
          ) : null}
          {incidents.isSuccess && items.length === 0 ? (
            <Empty title={strings.incidents.empty}>{strings.incidents.emptyDetail}</Empty>
          ) : null}
          {items.length > 0 ? <IncidentTable items={items} /> : null}
          {incidents.hasNextPage ? (
            <div className={css.more}>
              <Button
                variant="default"
                loading={incidents.isFetchingNextPage}
                onClick={() => void incidents.fetchNextPage()}
              >
                {strings.incidents.more}
              </Button>
            </div>
          ) : null}
        </Panel>
      </div>
    </PageBody>
  );
}

function Keys() {
  return (
    <span className={css.keys} aria-hidden>
      <Kbd size="xs">j</Kbd> <Kbd size="xs">k</Kbd> <Kbd size="xs">↵</Kbd> <Kbd size="xs">/</Kbd>{" "}
      {strings.incidents.keys}
    </span>
  );
}

const { columns } = strings.incidents;
const COLUMNS: Column[] = [
  { name: columns.severity, wideOnly: true },
  { name: columns.incident },
  { name: columns.state, wideOnly: true },
  { name: columns.entities, wideOnly: true },
  { name: columns.started, number: true },
  { name: columns.lasted, number: true, wideOnly: true },
  { name: columns.owner, wideOnly: true },
];

function IncidentTable({ items }: { items: readonly Incident[] }) {
  return (
    <Table label={strings.incidents.title} columns={COLUMNS}>
      {items.map((incident) => (
        <tr key={incident.id}>
          <Cell wideOnly>
            <Badge value={incident.severity} />
          </Cell>
          <Cell>
            <Link to="/incidents/$id" params={{ id: incident.id }} data-row-link className={css.link ?? ""}>
              {incident.title}
            </Link>
            <div className={css.summary}>{incident.summary}</div>
            <div className={css.narrow}>
              <Badge value={incident.severity} plain />
              <Badge value={incident.state} plain />
            </div>
          </Cell>
          <Cell wideOnly>
            <Badge value={incident.state} plain />
            {incident.backfilled ? <div className={css.past}>{strings.incidents.history}</div> : null}
          </Cell>
          <Cell wideOnly>
            <span className={css.entities}>
              {incident.entities.slice(0, SHOWN_ENTITIES).map((entity) => (
                <EntityName key={entity} id={entity} />
              ))}
              {incident.entities.length > SHOWN_ENTITIES ? (
                <Muted>{strings.incidents.others(incident.entities.length - SHOWN_ENTITIES)}</Muted>
              ) : null}
            </span>
          </Cell>
          <Cell number>
            <Ago time={incident.start} />
          </Cell>
          <Cell number wideOnly>
            <Span start={incident.start} end={incident.end} />
          </Cell>
          <Cell wideOnly>{incident.owner || <Muted>{strings.incidents.nobody}</Muted>}</Cell>
        </tr>
      ))}
    </Table>
  );
}
