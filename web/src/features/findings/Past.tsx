import { Link } from "@tanstack/react-router";
import type { Explanation, PastFinding } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { formatSpan } from "../../ui/format";
import { Empty } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Ago } from "../../ui/Time";
import css from "./Finding.module.css";

const words = strings.finding;
const JUDGED = { right: "ok", wrong: "rejected", noise: "expired" } as const;

/** Earlier findings like this one, and what they turned out to be. */
export function Past({ told }: { told: Explanation }) {
  return (
    <Panel title={words.past} hint={summary(told.outcomes)} flush>
      {told.past.length === 0 ? <Empty title={words.noPast}>{words.noPastDetail}</Empty> : null}
      <ul>
        {told.past.map((each) => (
          <PastLine key={each.finding} past={each} />
        ))}
      </ul>
    </Panel>
  );
}

function PastLine({ past }: { past: PastFinding }) {
  return (
    <li className={css.past}>
      <div className={css.pastHead}>
        <Ago time={past.onset} />
        <span>
          {words.kinship[past.kinship]} · {words.lasted(formatSpan(past.lasted_s * 1000))}
        </span>
        {past.verdict ? (
          <Badge value={JUDGED[past.verdict]} label={strings.verdict[past.verdict]} plain />
        ) : null}
      </div>
      <Link to="/findings/$id" params={{ id: past.finding }}>
        {past.reason}
      </Link>
      <div className={css.outcome}>
        {past.outcome}{" "}
        {past.incident ? (
          <Link to="/incidents/$id" params={{ id: past.incident }}>
            {words.incident}
          </Link>
        ) : null}
      </div>
    </li>
  );
}

/** `1 right, 2 noise`; what did not occur is left out. */
function summary(outcomes: Explanation["outcomes"]): string {
  const names = ["right", "noise", "wrong", "unjudged"] as const;
  return names
    .filter((name) => outcomes[name] > 0)
    .map((name) => words.outcomes[name](outcomes[name]))
    .join(", ");
}
