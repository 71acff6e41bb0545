import { IconAlertCircle } from "@tabler/icons-react";
import type { Trace } from "../../api/types";
import { strings } from "../../strings";
import { splitEntity } from "../EntityName";
import { formatPercent, formatSeconds } from "../format";
import { spanRows } from "./spans";
import css from "./Waterfall.module.css";

const INDENT_PX = 12;
const SHOWN = 200;
const NAMED = 4;

/** Calls of one request as bars in time, each with its own time; what the whole waited for is marked. */
export function Waterfall({ trace }: { trace: Trace }) {
  const rows = spanRows(trace.spans);
  return (
    <div>
      <Shares trace={trace} />
      <ul className={css.rows} aria-label={strings.trace.label(rows.length)}>
        {rows.slice(0, SHOWN).map(({ span, depth, offset, width, critical }) => (
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
              {critical.map((piece) => (
                <div
                  key={piece.offset}
                  className={css.critical}
                  style={{ left: `${piece.offset * 100}%`, width: `${piece.width * 100}%` }}
                />
              ))}
            </div>
            <span className={css.duration}>
              {formatSeconds(span.duration_ms / 1000)}
              <span className={css.own}>{strings.trace.own(formatSeconds(span.self_ms / 1000))}</span>
            </span>
          </li>
        ))}
      </ul>
      {rows.length > SHOWN ? <p>{strings.trace.more(rows.length - SHOWN)}</p> : null}
    </div>
  );
}

/** Whose time it was, the greatest share of the critical path first. */
function Shares({ trace }: { trace: Trace }) {
  const shares = trace.shares.filter((share) => share.critical_ms > 0);
  if (shares.length === 0 || trace.duration_ms <= 0) return null;
  const named = shares.slice(0, NAMED).map((share) => {
    const part = formatPercent(share.critical_ms / trace.duration_ms);
    return `${splitEntity(share.entity).name} ${formatSeconds(share.critical_ms / 1000)} (${part})`;
  });
  return (
    <p className={css.shares}>
      {strings.trace.where(formatSeconds(trace.duration_ms / 1000), named.join(" · "))}
      {trace.kept ? ` ${strings.trace.kept}` : ""}
    </p>
  );
}
