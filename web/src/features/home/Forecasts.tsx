import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import type { Forecast } from "../../api/types";
import { strings } from "../../strings";
import { EntityName } from "../../ui/EntityName";
import { formatPercent } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Ago } from "../../ui/Time";
import css from "./Home.module.css";

const words = strings.home;

/** What is expected to run out, the soonest first. */
export function Forecasts({ forecasts }: { forecasts: readonly Forecast[] }) {
  if (forecasts.length === 0) return null;
  const sorted = [...forecasts].sort((a, b) => (a.eta ?? "~").localeCompare(b.eta ?? "~"));
  return (
    <Panel title={words.forecasts} flush>
      <ul>
        {sorted.map((forecast) => (
          <li key={forecast.id} className={css.item}>
            <span className={css.what}>{forecast.reason}</span>
            <span className={css.when}>{words.sure(formatPercent(forecast.probability))}</span>
            <span className={css.detail}>
              <EntityName id={forecast.entity} /> {words.said} <Ago time={forecast.made} />
              {forecast.engine ? ` ${words.by(forecast.engine)}` : null}
            </span>
          </li>
        ))}
        <Calibration />
      </ul>
    </Panel>
  );
}

/** How often such claims came true: what a percentage here is worth. */
function Calibration() {
  const judged = (useQuery(queries.forecasts()).data?.calibration ?? []).filter((bin) => bin.decided > 0);
  return judged.map((bin) => (
    <li key={bin.low} className={css.item}>
      <span className={css.detail}>
        {words.cameTrue(formatPercent(bin.low), formatPercent(bin.high), bin.hit, bin.decided)}
      </span>
    </li>
  ));
}
