import { Link } from "@tanstack/react-router";
import type { Explanation } from "../../api/types";
import { strings } from "../../strings";
import { Muted } from "../../ui/Facts";
import { formatPercent } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import css from "./Finding.module.css";

const words = strings.finding;
const SHOWN = 8;

/** Series of the same entity that left their bands with it, by their share of the scores. */
export function Contributions({ told }: { told: Explanation }) {
  const shown = told.contributions.filter((each, rank) => rank < SHOWN || each.finding === told.finding.id);
  return (
    <Panel title={words.drove} hint={words.droveHint} flush>
      <ul>
        {shown.map((each) => (
          <li key={each.finding} className={css.item}>
            <span className={css.name}>
              {each.finding === told.finding.id ? (
                <>
                  {each.metric} <Muted>({words.this})</Muted>
                </>
              ) : (
                <Link to="/findings/$id" params={{ id: each.finding }}>
                  {each.metric}
                </Link>
              )}{" "}
              <Muted>{each.labels_text}</Muted>
            </span>
            <ScoreBar share={each.share} text={formatPercent(each.share)} label={words.share} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}
