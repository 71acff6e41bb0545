import { Button, NativeSelect } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { calls } from "../../api/calls";
import { queries, useCan } from "../../api/queries";
import type { Backtest, ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { Facts } from "../../ui/Facts";
import { formatNumber, formatPercent, formatSeconds } from "../../ui/format";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago, Moment } from "../../ui/Time";
import css from "./Models.module.css";

const words = strings.backtests;
const HOUR_MS = 3_600_000;
const DAY_S = 86_400;
const PERIODS = [1, 6, 24, 24 * 7, 24 * 30].map((hours) => ({
  value: String(hours),
  label: words.period(hours),
}));
const COLUMNS: Column[] = [
  { name: words.columns.detected },
  { name: words.columns.incident },
  { name: words.columns.suspect, wideOnly: true },
  { name: words.columns.label },
];

/** What a version of the detector would have paged, had it been live: the evidence for its release. */
export function Backtests({ model }: { model: ModelDetail }) {
  const backtests = useQuery(queries.backtests(model.model));
  const items = backtests.data?.items ?? [];
  const told = items.find((each) => each.state === "done");
  return (
    <Panel title={words.title} hint={words.hint} flush>
      <Ask model={model} />
      {backtests.isPending ? <Loading rows={2} /> : null}
      {backtests.isError ? <Problem error={backtests.error} /> : null}
      {backtests.isSuccess && items.length === 0 ? <p className={css.none}>{words.none}</p> : null}
      {items.map((backtest) => (
        <Result key={backtest.id} backtest={backtest} open={backtest === (told ?? items[0])} />
      ))}
    </Panel>
  );
}

function Ask({ model }: { model: ModelDetail }) {
  const live = model.traffic.find((part) => part.stage === "live")?.version ?? "";
  const [version, setVersion] = useState(live || (model.versions[0]?.version ?? ""));
  const [hours, setHours] = useState("6");
  const client = useQueryClient();
  const request = useMutation({
    mutationFn: () => {
      const end = Date.now();
      const start = new Date(end - Number(hours) * HOUR_MS).toISOString();
      return calls.requestBacktest(model.model, version, start, new Date(end).toISOString());
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["backtests", model.model] }),
  });
  if (!useCan("model:train")) return null;
  return (
    <form
      className={css.ask}
      onSubmit={(event) => {
        event.preventDefault();
        request.mutate();
      }}
    >
      <NativeSelect
        label={words.version}
        data={model.versions.map((each) => ({
          value: each.version,
          label:
            strings.models.version(each.version) + (each.version === live ? ` (${strings.states.live})` : ""),
        }))}
        value={version}
        onChange={(event) => setVersion(event.currentTarget.value)}
      />
      <NativeSelect
        label={words.over}
        data={PERIODS}
        value={hours}
        onChange={(event) => setHours(event.currentTarget.value)}
      />
      <Button type="submit" loading={request.isPending}>
        {words.run}
      </Button>
      {request.isError ? <Problem error={request.error} /> : null}
    </form>
  );
}

function Result({ backtest, open }: { backtest: Backtest; open: boolean }) {
  const { figures } = backtest;
  const going = backtest.state === "requested" || backtest.state === "running";
  return (
    <details className={css.version} open={open}>
      <summary>
        <span className={css.versionName}>{strings.models.version(backtest.version)}</span>
        <Badge value={backtest.state} plain />
        {going ? (
          <ScoreBar share={backtest.done} text={formatPercent(backtest.done)} label={words.replayed} />
        ) : null}
        {figures ? <span>{paged(figures)}</span> : null}
        <span className={css.end}>
          <Ago time={backtest.created} />
        </span>
      </summary>
      <p className={css.facts}>
        <Moment time={backtest.start} /> – <Moment time={backtest.end} />
      </p>
      {backtest.error ? <p className={css.facts}>{backtest.error}</p> : null}
      {figures ? (
        <div className={css.facts}>
          <Facts
            items={[
              [words.observed, formatSeconds(figures.observed_s)],
              [words.found, figures.labels > 0 ? `${figures.found} / ${figures.labels}` : words.noLabel],
              ...(figures.outside > 0 ? [[words.outside, String(figures.outside)] as [string, string]] : []),
              [words.first, String(figures.first)],
              [
                words.delay,
                figures.median_delay_s === null ? strings.none : formatSeconds(figures.median_delay_s),
              ],
              [words.noise, String(figures.noise)],
              [words.cost, formatSeconds(figures.cpu_s_per_day)],
              [words.speed, words.perSecond(formatNumber(figures.points / Math.max(figures.seconds, 0.001)))],
            ]}
          />
        </div>
      ) : null}
      <Refused outcomes={backtest.outcomes} />
      {backtest.pages.length > 0 ? <Pages backtest={backtest} /> : null}
      {backtest.missed.length > 0 ? (
        <p className={css.facts}>{words.missed(backtest.missed.map((each) => each.name).join(", "))}</p>
      ) : null}
    </details>
  );
}

/** Rules of a rule file that were not replayed, each with its reason. */
function Refused({ outcomes }: { outcomes: Backtest["outcomes"] }) {
  const refused = outcomes.filter((each) => each.refused !== "");
  if (refused.length === 0) return null;
  const told = refused.map((each) => `${each.name} (${each.refused})`).join(", ");
  return <p className={css.facts}>{words.refused(told)}</p>;
}

function paged({ pages, pages_per_week, observed_s }: NonNullable<Backtest["figures"]>): string {
  return observed_s < DAY_S ? words.pagesOnly(pages) : words.pages(pages, formatNumber(pages_per_week));
}

function Pages({ backtest }: { backtest: Backtest }) {
  return (
    <Table label={words.wouldHavePaged} columns={COLUMNS}>
      {backtest.pages.map((page) => (
        <tr key={page.incident}>
          <Cell>
            <Moment time={page.detected} />
          </Cell>
          <Cell>
            <Badge value={page.severity} plain /> {page.title}
          </Cell>
          <Cell wideOnly>{page.suspect ? <EntityName id={page.suspect} /> : strings.none}</Cell>
          <Cell>{page.noise ? words.wasNoise : page.label || strings.none}</Cell>
        </tr>
      ))}
    </Table>
  );
}
