import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { formatPercent } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import css from "./Models.module.css";

/** Which version answers how much; shadows answer nobody and stand below. */
export function Traffic({ traffic }: { traffic: ModelDetail["traffic"] }) {
  const answering = traffic.filter((part) => part.weight > 0);
  const shadows = traffic.filter((part) => part.stage === "shadow");
  return (
    <Panel title={strings.model.traffic}>
      {answering.length === 0 ? <span className={css.muted}>{strings.model.noTraffic}</span> : null}
      <div className={css.traffic}>
        {answering.map((part) => (
          <div key={part.version} className={css.share} style={{ flexGrow: part.weight }}>
            {strings.models.version(part.version)} {strings.states[part.stage].toLowerCase()}{" "}
            {formatPercent(part.weight)}
          </div>
        ))}
      </div>
      {shadows.map((part) => (
        <p key={part.version} className={css.shadows}>
          {strings.models.version(part.version)} {strings.states.shadow.toLowerCase()}
        </p>
      ))}
    </Panel>
  );
}
