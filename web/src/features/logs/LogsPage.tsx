import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { TemplateFilter } from "../../api/calls";
import { queries } from "../../api/queries";
import { strings } from "../../strings";
import { PageBody } from "../../ui/Facts";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Ask } from "./Ask";
import { TemplateTable } from "./TemplateTable";

const route = getRouteApi("/signed-in/logs");
const words = strings.templates;
const ERROR = 17; // OpenTelemetry's SeverityNumber

/** What the logs say, one row a statement that writes them; question and open row stand in the address. */
export function LogsPage() {
  const { errors, template, ...rest } = route.useSearch();
  const filter: TemplateFilter = { ...rest, ...(errors === "only" ? { severity: ERROR } : {}) };
  const templates = useQuery(queries.templates(filter));
  const asked = rest.q !== undefined || rest.entity !== undefined || errors !== undefined;
  const hint = templates.data
    ? `${words.found(templates.data.items.length, templates.data.total)}${rest.q ? `, ${words.orderNear}` : ""}`
    : "";
  return (
    <PageBody title={words.title}>
      <Ask byModel={templates.data?.by_model ?? false} />
      <Panel title={words.panel} hint={hint} flush>
        {templates.isPending ? <Loading rows={8} /> : null}
        {templates.isError ? (
          <Problem error={templates.error} retry={() => void templates.refetch()} />
        ) : null}
        {templates.data?.items.length === 0 ? (
          <Empty title={asked ? words.empty : words.none}>
            {asked ? words.emptyDetail : words.noneDetail}
          </Empty>
        ) : null}
        {templates.data && templates.data.items.length > 0 ? (
          <TemplateTable
            items={templates.data.items}
            {...(template === undefined ? {} : { open: template })}
          />
        ) : null}
      </Panel>
    </PageBody>
  );
}
