import type { ReactNode } from "react";
import { strings } from "../strings";
import css from "./Facts.module.css";

/** Named values in a row. */
export function Facts({ items, big = false }: { items: [string, ReactNode][]; big?: boolean }) {
  return (
    <dl className={css.facts}>
      {items.map(([name, value]) => (
        <div key={name} className={`${css.fact} ${big ? css.big : ""}`}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A page: heading with actions, then its parts with one gap. */
export function PageBody({ title, badges, actions, children }: PageProps) {
  return (
    <div className={css.page}>
      <title>{strings.pageTitle(title)}</title>
      <header className={css.heading}>
        <h1>{title}</h1>
        {badges}
        {actions ? <div className={css.actions}>{actions}</div> : null}
      </header>
      {children}
    </div>
  );
}

interface PageProps {
  title: string;
  badges?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** Things side by side that wrap. */
export function Row({ children }: { children: ReactNode }) {
  return <div className={css.row}>{children}</div>;
}

export function Muted({ children }: { children: ReactNode }) {
  return <span className={css.muted}>{children}</span>;
}
