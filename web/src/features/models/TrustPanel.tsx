import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import type { Precision, Trust } from "../../api/types";
import { strings } from "../../strings";
import { Facts } from "../../ui/Facts";
import { formatNumber, formatPercent } from "../../ui/format";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import css from "./Models.module.css";

const words = strings.governed;

/** How precise the live version is as far as people have judged its pages, beside the version before. */
export function TrustPanel({ model }: { model: string }) {
  const trust = useQuery(queries.trust(model));
  return (
    <Panel title={words.trust} hint={words.trustHint} flush>
      {trust.isPending ? <Loading rows={2} /> : null}
      {trust.isError ? <Problem error={trust.error} /> : null}
      {trust.data ? <Judged trust={trust.data} /> : null}
    </Panel>
  );
}

function Judged({ trust }: { trust: Trust }) {
  const versions = [trust.live, trust.champion].filter((one) => one !== null && one !== undefined);
  const judged = versions.filter((one) => one.right + one.false > 0);
  if (judged.length === 0) return <p className={css.none}>{words.nobody}</p>;
  return (
    <div className={css.facts}>
      <Facts
        items={[
          ...judged.map((one): [string, React.ReactNode] => [
            one.detector,
            <Share key={one.detector} one={one} />,
          ]),
          [words.worse, formatPercent(trust.worse)],
          [
            words.falsePerDay,
            `${formatNumber(trust.false_per_day)} (${words.least(formatNumber(trust.least_false_per_day))})`,
          ],
        ]}
      />
      {trust.lost}
    </div>
  );
}

function Share({ one }: { one: Precision }) {
  const interval = words.interval(formatPercent(one.low), formatPercent(one.high));
  return (
    <>
      <ScoreBar share={one.middle} text={formatPercent(one.middle)} label={words.precision} /> {interval},{" "}
      {one.right} {words.right}, {one.false} {words.false}
    </>
  );
}
