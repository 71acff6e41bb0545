import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import type { Delivered } from "../../api/types";
import { strings } from "../../strings";
import { EntityName } from "../../ui/EntityName";
import { Muted, PageBody } from "../../ui/Facts";
import { formatNumber, formatPercent, formatSeconds } from "../../ui/format";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";

const words = strings.delivery;
const { columns } = words;
const PIPELINES: Column[] = [
  { name: columns.pipeline },
  { name: columns.repository, wideOnly: true },
  { name: columns.duration, number: true },
  { name: columns.queued, number: true, wideOnly: true },
  { name: columns.failed, number: true },
  { name: columns.last, number: true },
];
const DEPLOYMENTS: Column[] = [
  { name: columns.entity },
  { name: columns.environment, wideOnly: true },
  { name: columns.lead, number: true },
  { name: columns.frequency, number: true },
  { name: columns.changeFailure, number: true },
  { name: columns.recovery, number: true, wideOnly: true },
  { name: columns.last, number: true },
];

/** From commit to users: how pipelines and deployments do. Their series are judged like any other. */
export function DeliveryPage() {
  const delivery = useQuery(queries.delivery());
  const { pipelines, deployments } = delivery.data ?? { pipelines: [], deployments: [] };
  return (
    <PageBody title={words.title}>
      {delivery.isPending ? <Loading rows={6} /> : null}
      {delivery.isError ? <Problem error={delivery.error} retry={() => void delivery.refetch()} /> : null}
      {delivery.isSuccess ? (
        <>
          <Panel title={words.deployments} hint={words.hint} flush>
            {deployments.length === 0 ? (
              <Empty title={words.noDeployments}>{words.noDeploymentsDetail}</Empty>
            ) : (
              <Table label={words.deployments} columns={DEPLOYMENTS}>
                {deployments.map((one) => (
                  <Deployment key={`${one.entity} ${one.environment}`} one={one} />
                ))}
              </Table>
            )}
          </Panel>
          <Panel title={words.pipelines} hint={words.hint} flush>
            {pipelines.length === 0 ? (
              <Empty title={words.noPipelines}>{words.noPipelinesDetail}</Empty>
            ) : (
              <Table label={words.pipelines} columns={PIPELINES}>
                {pipelines.map((one) => (
                  <Pipeline key={one.entity} one={one} />
                ))}
              </Table>
            )}
          </Panel>
        </>
      ) : null}
    </PageBody>
  );
}

function Deployment({ one }: { one: Delivered }) {
  return (
    <tr>
      <Cell>
        <EntityName id={one.entity} />
      </Cell>
      <Cell wideOnly>{one.environment}</Cell>
      <Cell number>
        <Value one={one} metric="deploy.lead_time" />
      </Cell>
      <Cell number>
        <Value one={one} metric="deploy.frequency" />
      </Cell>
      <Cell number>
        <Value one={one} metric="deploy.change_failure_ratio" />
      </Cell>
      <Cell number wideOnly>
        <Value one={one} metric="deploy.recovery_time" />
      </Cell>
      <Cell number>
        <Last one={one} />
      </Cell>
    </tr>
  );
}

function Pipeline({ one }: { one: Delivered }) {
  return (
    <tr>
      <Cell>{one.pipeline}</Cell>
      <Cell wideOnly>{one.repository}</Cell>
      <Cell number>
        <Value one={one} metric="ci.pipeline.duration" />
      </Cell>
      <Cell number wideOnly>
        <Value one={one} metric="ci.pipeline.queued" />
      </Cell>
      <Cell number>
        <Value one={one} metric="ci.pipeline.failed_ratio" />
      </Cell>
      <Cell number>
        <Last one={one} />
      </Cell>
    </tr>
  );
}

const FORMATS: Record<string, (value: number) => string> = { s: formatSeconds, "1": formatPercent };

function Value({ one, metric }: { one: Delivered; metric: string }) {
  const figure = one.figures.find((each) => each.metric === metric);
  if (!figure) return <Muted>{strings.none}</Muted>;
  const format = FORMATS[figure.unit] ?? formatNumber;
  return (
    <>
      {format(figure.value)} <Muted>({format(figure.median)})</Muted>
    </>
  );
}

function Last({ one }: { one: Delivered }) {
  const newest = one.figures.map((figure) => figure.time).sort();
  return <Ago time={newest[newest.length - 1] ?? ""} />;
}
