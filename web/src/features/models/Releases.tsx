import type { Release } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { formatPercent } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import css from "./Models.module.css";

const { columns } = strings.model;
const COLUMNS: Column[] = [
  { name: "#", number: true },
  { name: columns.version },
  { name: columns.stage },
  { name: columns.weight, number: true, wideOnly: true },
  { name: columns.reason },
  { name: columns.approver, wideOnly: true },
  { name: columns.time, number: true },
];

/** The release ledger: what stood where, why, and who said so. */
export function Releases({ releases }: { releases: readonly Release[] }) {
  const sorted = [...releases].sort((a, b) => b.seq - a.seq);
  return (
    <Panel title={strings.model.releases} hint={strings.model.releasesHint} flush>
      {sorted.length === 0 ? <p className={css.empty}>{strings.model.noReleases}</p> : null}
      {sorted.length > 0 ? (
        <Table label={strings.model.releases} columns={COLUMNS}>
          {sorted.map((release) => (
            <tr key={release.id}>
              <Cell number>{release.seq}</Cell>
              <Cell>{strings.models.version(release.version)}</Cell>
              <Cell>
                <Badge value={release.stage} plain />
              </Cell>
              <Cell number wideOnly>
                {formatPercent(release.weight)}
              </Cell>
              <Cell>{release.reason}</Cell>
              <Cell wideOnly>{release.approver}</Cell>
              <Cell number>
                <Ago time={release.time} />
              </Cell>
            </tr>
          ))}
        </Table>
      ) : null}
    </Panel>
  );
}
