import type { LogLine } from "../api/types";
import { strings } from "../strings";
import css from "./LogLines.module.css";
import { Clock } from "./Time";

/** OpenTelemetry's severity number as its short word. */
export function severityWord(severity: number): string {
  if (severity >= 21) return "FATAL";
  if (severity >= 17) return "ERROR";
  if (severity >= 13) return "WARN";
  if (severity >= 9) return "INFO";
  if (severity >= 5) return "DEBUG";
  return severity >= 1 ? "TRACE" : "LOG";
}

function tone(severity: number): string {
  const name = severity >= 17 ? css.error : severity >= 13 ? css.warn : css.calm;
  return name ?? "";
}

/** Log lines as they came: text, never markup. */
export function LogLines({ lines }: { lines: readonly LogLine[] }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for form fields, a section would be one more landmark
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div role="group" className={css.lines} aria-label={strings.logs.label(lines.length)} tabIndex={0}>
      {lines.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines repeat, even to the same millisecond, and never move
        <div key={index} className={css.line}>
          <span className={css.time}>
            <Clock time={line.time} />
          </span>
          <span className={tone(line.severity)}>{severityWord(line.severity)}</span>
          <span className={css.body}>{line.body}</span>
        </div>
      ))}
    </div>
  );
}
