import css from "./ScoreBar.module.css";

interface ScoreBarProps {
  /** Share of the whole bar, 0..1. */
  share: number;
  text: string;
  label: string;
  /** Where the limit stands on the bar, 0..1; past it the bar turns to the warning colour. */
  limit?: number;
}

/** A number as a bar and as text. */
export function ScoreBar({ share, text, label, limit }: ScoreBarProps) {
  const width = Math.min(1, Math.max(0, share)) * 100;
  const over = limit !== undefined && share >= limit;
  return (
    <span className={css.row} title={label}>
      <span className={css.track} aria-hidden>
        <span
          className={`${css.fill} ${over ? css.over : ""}`}
          style={{ width: `${width}%`, display: "block" }}
        />
        {limit === undefined ? null : <span className={css.limit} style={{ left: `${limit * 100}%` }} />}
      </span>
      <span className={css.text}>
        {text}
        <span className="visually-hidden"> {label}</span>
      </span>
    </span>
  );
}
