import type { DatasetVersion } from "../../api/types";
import { strings } from "../../strings";
import { formatBytes, formatCount } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import css from "./Models.module.css";

const { columns } = strings.model;
const COLUMNS: Column[] = [
  { name: columns.dataset },
  { name: columns.rows, number: true },
  { name: columns.size, number: true, wideOnly: true },
  { name: columns.created, number: true },
];

/** The immutable snapshots that this model was trained on. */
export function Datasets({ datasets }: { datasets: readonly DatasetVersion[] }) {
  return (
    <Panel title={strings.model.datasets} flush>
      {datasets.length === 0 ? <p className={css.empty}>{strings.none}</p> : null}
      {datasets.length > 0 ? (
        <Table label={strings.model.datasets} columns={COLUMNS}>
          {datasets.map((dataset) => (
            <tr key={dataset.id}>
              <Cell>
                <code>{dataset.id}</code>
              </Cell>
              <Cell number>{formatCount(dataset.rows)}</Cell>
              <Cell number wideOnly>
                {formatBytes(dataset.size_bytes)}
              </Cell>
              <Cell number>
                <Ago time={dataset.created} />
              </Cell>
            </tr>
          ))}
        </Table>
      ) : null}
    </Panel>
  );
}
