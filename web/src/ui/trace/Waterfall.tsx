import { IconAlertCircle } from "@tabler/icons-react";
import type { Trace } from "../../api/types";
import { strings } from "../../strings";
import { splitEntity } from "../EntityName";
import { formatSeconds } from "../format";
import { spanRows } from "./spans";
import css from "./Waterfall.module.css";

const INDENT_PX = 12;
const SHOWN = 200;

/** Calls of one request as bars in time; failed ones carry an icon and a word. */
export function Waterfall({ trace }: { trace: Trace }) {
  const rows = spanRows(trace.spans);
  return (
    <div>
      <ul className={css.rows} aria-label={strings.trace.label(rows.length)}>
        {rows.slice(0, SHOWN).map(({ span, depth, offset, width }) => (
          <li key={span.span_id} className={css.row} title={`${span.entity} ${span.name}`}>
            <div className={css.name} style={{ paddingLeft: depth * INDENT_PX }}>
              {span.error ? (
                <IconAlertCircle size={13} className={css.icon ?? ""} aria-label={strings.trace.failed} />
              ) : null}
              <span className={css.service}>{splitEntity(span.entity).name}</span>
              <span className={css.operation}>{span.name}</span>
            </div>
            <div className={css.lane} aria-hidden>
              <div
                className={`${css.bar} ${span.error ? css.error : ""}`}
                style={{ left: `${offset * 100}%`, width: `${width * 100}%` }}
              />
            </div>
            <span className={css.duration}>{formatSeconds(span.duration_ms / 1000)}</span>
          </li>
        ))}
      </ul>
      {rows.length > SHOWN ? <p>{strings.trace.more(rows.length - SHOWN)}</p> : null}
    </div>
  );
}
