import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { Rehearsal, ShadowFinding } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { Facts } from "../../ui/Facts";
import { formatPercent, formatSeconds } from "../../ui/format";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago, Moment } from "../../ui/Time";
import css from "./Models.module.css";

const words = strings.governed;
const PAGES: Column[] = [{ name: words.columns.when }, { name: words.columns.incident }];
const FINDINGS: Column[] = [
  { name: words.columns.when },
  { name: words.columns.finding },
  { name: words.columns.entity, wideOnly: true },
  { name: words.columns.state },
];

/** A version that shadows the live one: what it would have paged for, and what it would not. */
export function Shadow({ model, version }: { model: string; version: string }) {
  const rehearsal = useQuery(queries.rehearsal(model, version));
  const findings = useQuery(queries.shadowFindings(`${model}@${version}`));
  const told = rehearsal.data;
  const hint = told ? words.shadowHint(told.detector, told.champion) : "";
  return (
    <Panel title={`${words.shadow}: ${strings.models.version(version)}`} hint={hint} flush>
      {rehearsal.isPending ? <Loading rows={3} /> : null}
      {rehearsal.isError ? <Problem error={rehearsal.error} /> : null}
      {told ? <Compared told={told} /> : null}
      {findings.data && findings.data.items.length > 0 ? <Findings findings={findings.data.items} /> : null}
    </Panel>
  );
}

function Compared({ told }: { told: Rehearsal }) {
  const alone = told.pages - told.both;
  return (
    <>
      <div className={css.facts}>
        <Facts
          items={[
            [words.since, <Ago key="since" time={told.since} />],
            [words.judged, formatSeconds(told.judged_s)],
            [words.pages, `${told.pages} / ${told.champion_pages}`],
            [words.both, String(told.both)],
            [words.alone, `${alone} / ${told.only_champion.length}`],
            [words.findings, `${told.findings} / ${told.champion_findings}`],
          ]}
        />
        {words.excess(formatPercent(told.excess))}
      </div>
      {told.only_shadow.length > 0 ? (
        <Table label={words.onlyShadow} columns={PAGES}>
          {told.only_shadow.map((page) => (
            <tr key={page.id}>
              <Cell>
                <Moment time={page.detected} />
              </Cell>
              <Cell>
                <Badge value={page.severity} plain /> {page.title}
              </Cell>
            </tr>
          ))}
        </Table>
      ) : null}
      {told.only_champion.length > 0 ? (
        <p className={css.facts}>
          {words.onlyChampion}:{" "}
          {told.only_champion.map((id) => (
            <Link key={id} to="/incidents/$id" params={{ id }} className={css.name ?? ""}>
              {id.slice(0, 8)}{" "}
            </Link>
          ))}
        </p>
      ) : null}
    </>
  );
}

function Findings({ findings }: { findings: readonly ShadowFinding[] }) {
  return (
    <Table label={words.newest} columns={FINDINGS}>
      {findings.map((each) => (
        <tr key={each.id}>
          <Cell>
            <Moment time={each.onset} />
          </Cell>
          <Cell>{each.finding.reason}</Cell>
          <Cell wideOnly>
            <EntityName id={each.entity} />
          </Cell>
          <Cell>
            <Badge value={each.state} plain />
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
