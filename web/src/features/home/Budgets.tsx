import type { SloStatus } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { formatNumber, formatPercent } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import css from "./Home.module.css";

const words = strings.home;

/** What was promised, and how much of the error budget is used; the least left first. */
export function Budgets({ slos }: { slos: readonly SloStatus[] }) {
  if (slos.length === 0) return null;
  return (
    <Panel title={words.budgets} flush>
      <ul>
        {slos.map((slo) => (
          <li key={slo.id} className={css.item}>
            <span className={css.what}>{slo.id}</span>
            <ScoreBar
              share={1 - slo.budget_left}
              limit={1}
              text={slo.total === 0 ? words.noRequests : words.budgetLeft(formatPercent(slo.budget_left))}
              label={words.budgetUsed(formatPercent(1 - slo.budget_left))}
            />
            <span className={css.detail}>
              <Badge value={slo.state} plain />
              <EntityName id={slo.entity} />
              <span>{words.promise(formatPercent(slo.objective), slo.threshold_s)}</span>
              {slo.burn_1h === null ? null : <span>{words.burn(formatNumber(slo.burn_1h))}</span>}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
