import { Link } from "@tanstack/react-router";
import type { ChangeEvent } from "../../api/types";
import { strings } from "../../strings";
import { ChangeIcon } from "../../ui/ChangeIcon";
import { EntityName } from "../../ui/EntityName";
import { Panel } from "../../ui/Panel";
import { Ago } from "../../ui/Time";
import css from "./Home.module.css";

const SHOWN = 7;

/** Deploys, settings, promotions, data versions: the first question of every incident. */
export function Changes({ changes }: { changes: readonly ChangeEvent[] }) {
  return (
    <Panel title={strings.home.changes} aside={<Link to="/events">{strings.home.allEvents}</Link>} flush>
      {changes.length === 0 ? <p className={css.none}>{strings.home.noChanges}</p> : null}
      <ul>
        {changes.slice(0, SHOWN).map((change) => (
          <li key={change.id} className={css.item}>
            <span className={css.what}>
              <ChangeIcon change={change.change} /> {change.title}
            </span>
            <span className={css.when}>
              <Ago time={change.time} />
            </span>
            <span className={css.detail}>
              <EntityName id={change.entity} /> {change.version}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
