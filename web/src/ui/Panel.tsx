import { type ReactNode, useId } from "react";
import css from "./Panel.module.css";

interface PanelProps {
  title: string;
  hint?: ReactNode;
  aside?: ReactNode;
  /** Without padding, for tables and lists that reach the border. */
  flush?: boolean;
  children: ReactNode;
}

/** One titled part of a page. */
export function Panel({ title, hint, aside, flush = false, children }: PanelProps) {
  const id = useId();
  return (
    <section className={css.panel} aria-labelledby={id}>
      <header className={css.head}>
        <h2 id={id} className={css.title}>
          {title}
        </h2>
        {hint ? <span className={css.hint}>{hint}</span> : null}
        {aside ? <div className={css.aside}>{aside}</div> : null}
      </header>
      <div className={flush ? css.flush : css.body}>{children}</div>
    </section>
  );
}
