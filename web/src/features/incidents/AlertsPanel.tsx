import { Link } from "@tanstack/react-router";
import type { Alert, Incident, Verdict } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { Muted } from "../../ui/Facts";
import { formatNumber } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Clock } from "../../ui/Time";
import css from "./Incident.module.css";
import { VerdictButtons } from "./VerdictButtons";

const words = strings.incident;
const COLUMNS: Column[] = [
  { name: words.alertColumns.alert },
  { name: words.alertColumns.entity, wideOnly: true },
  { name: words.alertColumns.state },
  { name: words.alertColumns.started, number: true, wideOnly: true },
  { name: words.alertColumns.score, number: true, wideOnly: true },
  { name: words.alertColumns.verdict, hidden: true },
];

interface AlertsPanelProps {
  alerts: readonly Alert[];
  incident: Incident;
  verdicts: readonly Verdict[];
}

/** The alerts that were grouped, each open to judgement, and the grouping itself. */
export function AlertsPanel({ alerts, incident, verdicts }: AlertsPanelProps) {
  const group = (
    <span className={css.group}>
      {words.group}
      <VerdictButtons subject="group" subjectRef={incident.id} incident={incident.id} verdicts={verdicts} />
    </span>
  );
  return (
    <Panel title={words.alertsPanel} aside={alerts.length > 1 ? group : null} flush>
      <Table label={words.alertsPanel} columns={COLUMNS}>
        {alerts.map((alert) => (
          <tr key={alert.id}>
            <Cell>
              <span className={css.alertTitle}>{alert.title}</span>{" "}
              {alert.count > 1 ? <Muted>{words.count(alert.count)}</Muted> : null} <Why alert={alert} />
            </Cell>
            <Cell wideOnly>
              <EntityName id={alert.entity} />
            </Cell>
            <Cell>
              <Badge value={alert.state} plain />
            </Cell>
            <Cell number wideOnly>
              <Clock time={alert.start} />
            </Cell>
            <Cell number wideOnly>
              {formatNumber(alert.score)}
            </Cell>
            <Cell number>
              <VerdictButtons
                subject="alert"
                subjectRef={alert.id}
                incident={incident.id}
                verdicts={verdicts}
                values={["right", "wrong", "noise"]}
              />
            </Cell>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

/** The way to the explanation of the newest finding; alerts from outside have none. */
function Why({ alert }: { alert: Alert }) {
  const finding = alert.findings.at(-1);
  return finding === undefined ? null : (
    <Link to="/findings/$id" params={{ id: finding }} aria-label={strings.finding.explain(alert.title)}>
      {strings.finding.explainShort}
    </Link>
  );
}
