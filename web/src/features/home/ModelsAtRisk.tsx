import { Link } from "@tanstack/react-router";
import type { Home } from "../../api/types";
import { strings } from "../../strings";
import { formatNumber } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import css from "./Home.module.css";

/** Models whose inputs or outputs left what they were trained on. */
export function ModelsAtRisk({ models }: { models: Home["models_at_risk"] }) {
  return (
    <Panel title={strings.home.risk} aside={<Link to="/models">{strings.home.allModels}</Link>} flush>
      {models.length === 0 ? <p className={css.none}>{strings.home.noRisk}</p> : null}
      <ul>
        {models.map((model) => (
          <li key={model.model} className={css.item}>
            <Link to="/models/$name" params={{ name: model.model }} className={css.what ?? ""}>
              {model.model} {strings.models.version(model.version)}
            </Link>
            {model.drift === null ? null : <span className={css.when}>PSI {formatNumber(model.drift)}</span>}
            <span className={css.detail}>{model.reason}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
