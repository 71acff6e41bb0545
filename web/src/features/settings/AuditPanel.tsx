import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import { strings } from "../../strings";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";

const words = strings.settings;
const COLUMNS: Column[] = [
  { name: words.auditColumns.time },
  { name: words.auditColumns.actor },
  { name: words.auditColumns.action },
  { name: words.auditColumns.target, wideOnly: true },
];

/** What was done, by whom; each line is chained to the one before. */
export function AuditPanel() {
  const audit = useQuery(queries.audit());
  return (
    <Panel title={words.audit} hint={words.auditHint} flush>
      {audit.isPending ? <Loading rows={6} /> : null}
      {audit.isError ? <Problem error={audit.error} /> : null}
      {audit.data ? (
        <Table label={words.audit} columns={COLUMNS}>
          {audit.data.items.map((act) => (
            <tr key={act.id}>
              <Cell>
                <Ago time={act.time} />
              </Cell>
              <Cell>{act.actor}</Cell>
              <Cell>
                <code>{act.action}</code>
              </Cell>
              <Cell wideOnly>
                <code>{act.target}</code>
              </Cell>
            </tr>
          ))}
        </Table>
      ) : null}
    </Panel>
  );
}
