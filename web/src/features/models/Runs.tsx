import type { Run } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { formatNumber } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago, Span } from "../../ui/Time";
import css from "./Models.module.css";

const { columns } = strings.model;
const COLUMNS: Column[] = [
  { name: columns.run },
  { name: columns.state },
  { name: columns.metrics },
  { name: columns.seed, number: true, wideOnly: true },
  { name: columns.took, number: true, wideOnly: true },
  { name: columns.time, number: true },
];

/** Trainings, each reproducible from its dataset, code, environment and seed. */
export function Runs({ runs }: { runs: readonly Run[] }) {
  return (
    <Panel title={strings.model.runs} flush>
      {runs.length === 0 ? <p className={css.empty}>{strings.model.noRuns}</p> : null}
      {runs.length > 0 ? (
        <Table label={strings.model.runs} columns={COLUMNS}>
          {runs.map((run) => (
            <tr key={run.id}>
              <Cell>
                <code>{run.id.slice(0, 10)}</code>
              </Cell>
              <Cell>
                <Badge value={run.state} plain />
              </Cell>
              <Cell>
                {run.error ||
                  Object.entries(run.metrics)
                    .map(([name, value]) => `${name} ${formatNumber(value)}`)
                    .join(" · ")}
              </Cell>
              <Cell number wideOnly>
                {run.seed}
              </Cell>
              <Cell number wideOnly>
                <Span start={run.started} end={run.ended} />
              </Cell>
              <Cell number>
                <Ago time={run.started} />
              </Cell>
            </tr>
          ))}
        </Table>
      ) : null}
    </Panel>
  );
}
