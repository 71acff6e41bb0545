import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { ModelSummary } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Muted, PageBody } from "../../ui/Facts";
import { formatNumber } from "../../ui/format";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import { Cell, type Column, Table } from "../../ui/Table";
import { driftBar, worstDrift } from "./drift";
import css from "./Models.module.css";

const words = strings.models;
const COLUMNS: Column[] = [
  { name: words.columns.model },
  { name: words.columns.health },
  { name: words.columns.live },
  { name: words.columns.drift, wideOnly: true },
  { name: words.columns.traffic, number: true, wideOnly: true },
  { name: words.columns.kind, wideOnly: true },
  { name: words.columns.owner, wideOnly: true },
];

/** Every model that runs here: users' models and our own detectors and rankers alike. */
export function ModelsPage() {
  const models = useQuery(queries.models());
  return (
    <PageBody title={words.title}>
      <Panel title={words.title} hint={models.data ? String(models.data.items.length) : ""} flush>
        {models.isPending ? <Loading rows={6} /> : null}
        {models.isError ? <Problem error={models.error} retry={() => void models.refetch()} /> : null}
        {models.data?.items.length === 0 ? <Empty title={words.empty}>{words.emptyDetail}</Empty> : null}
        {models.data && models.data.items.length > 0 ? (
          <Table label={words.title} columns={COLUMNS}>
            {models.data.items.map((model) => (
              <ModelRow key={model.model} model={model} />
            ))}
          </Table>
        ) : null}
      </Panel>
    </PageBody>
  );
}

function ModelRow({ model }: { model: ModelSummary }) {
  const worst = worstDrift(model.drift);
  const kinds: Record<string, string> = words.kinds;
  return (
    <tr>
      <Cell>
        <Link to="/models/$name" params={{ name: model.model }} className={css.name ?? ""}>
          {model.model}
        </Link>
      </Cell>
      <Cell>
        <Badge value={model.health} />
      </Cell>
      <Cell>{model.live_version ? words.version(model.live_version) : <Muted>{strings.none}</Muted>}</Cell>
      <Cell wideOnly>
        {worst ? (
          <>
            <ScoreBar {...driftBar(worst.value)} text={formatNumber(worst.value)} label={words.driftLimit} />{" "}
            <Muted>{worst.feature}</Muted>
          </>
        ) : (
          <Muted>{words.noDrift}</Muted>
        )}
      </Cell>
      <Cell number wideOnly>
        {model.request_rate === null ? (
          <Muted>{strings.none}</Muted>
        ) : (
          `${formatNumber(model.request_rate)}/s`
        )}
      </Cell>
      <Cell wideOnly>{kinds[model.kind] ?? model.kind}</Cell>
      <Cell wideOnly>{model.owner}</Cell>
    </tr>
  );
}
