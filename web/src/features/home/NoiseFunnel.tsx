import type { Home } from "../../api/types";
import { strings } from "../../strings";
import { formatCount } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import css from "./Home.module.css";

/** How many findings became how few incidents. Bars by square root, so that one incident stays visible. */
export function NoiseFunnel({ removed }: { removed: Home["noise_removed"] }) {
  const levels: [string, number][] = [
    [strings.home.findings, removed.findings],
    [strings.home.alerts, removed.alerts],
    [strings.home.incidents, removed.incidents],
  ];
  const most = Math.max(1, ...levels.map(([, count]) => count));
  return (
    <Panel title={strings.home.noise} hint={strings.home.noiseHint}>
      <p className={css.sentence}>{strings.home.noiseSentence(removed.findings, removed.incidents)}</p>
      <ul className={css.funnel}>
        {levels.map(([name, count]) => (
          <li key={name} className={css.level}>
            <span>{name}</span>
            <span
              className={count > 0 ? css.bar : ""}
              style={{ width: `${Math.sqrt(count / most) * 100}%` }}
              aria-hidden
            />
            <span>{formatCount(count)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
