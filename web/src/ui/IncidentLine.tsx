import type { ReactNode } from "react";
import type { Incident } from "../api/types";
import { Badge } from "./Badge";
import css from "./IncidentLine.module.css";
import { Ago } from "./Time";

interface IncidentLineProps {
  incident: Incident;
  /** The title as a link; the caller knows the router. */
  title: ReactNode;
}

/** One incident in a list of a few. */
export function IncidentLine({ incident, title }: IncidentLineProps) {
  return (
    <li className={css.line}>
      <span className={css.badge}>
        <Badge value={incident.severity} />
      </span>
      <div className={css.text}>
        <div className={css.title}>{title}</div>
        <div className={css.detail}>{incident.summary}</div>
      </div>
      <div className={css.side}>
        <Badge value={incident.state} plain />
        <Ago time={incident.start} />
      </div>
    </li>
  );
}
