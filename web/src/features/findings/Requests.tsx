import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { queries } from "../../api/queries";
import type { Finding, TraceLine } from "../../api/types";
import { strings } from "../../strings";
import { formatSeconds } from "../../ui/format";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Waterfall } from "../../ui/trace/Waterfall";
import css from "./Finding.module.css";
import { during } from "./window";

const words = strings.finding.requests;

/** Requests of the time of a finding made from spans: the one that it shows, and the slowest. */
export function Requests({ finding }: { finding: Finding }) {
  const { start, end } = during(finding);
  const slowest = useQuery(queries.traces(finding.entity, start, end));
  const [chosen, choose] = useState(finding.trace_id);
  if (!finding.metric.startsWith("span.")) return null;
  if (slowest.isPending) return <Loading rows={4} height={16} />;
  const lines = slowest.isError ? [] : slowest.data.items;
  const shown = chosen || lines[0]?.trace_id || "";
  return (
    <Panel title={words.title} hint={words.hint}>
      {slowest.isError ? <Problem error={slowest.error} /> : null}
      {shown === "" ? words.none : null}
      <ul className={css.requests}>
        {finding.trace_id ? (
          <li key="shown">
            <Choice chosen={shown === finding.trace_id} pick={() => choose(finding.trace_id)}>
              {words.shows}
            </Choice>
          </li>
        ) : null}
        {lines.map((line) => (
          <li key={`${line.trace_id} ${line.start}`}>
            <Choice chosen={shown === line.trace_id} pick={() => choose(line.trace_id)}>
              {describe(line)}
            </Choice>
          </li>
        ))}
      </ul>
      {shown === "" ? null : <Shown id={shown} start={start} end={end} />}
    </Panel>
  );
}

interface ChoiceProps {
  chosen: boolean;
  pick: () => void;
  children: string;
}

function Choice({ chosen, pick, children }: ChoiceProps) {
  return (
    <button type="button" className={css.request} aria-pressed={chosen} onClick={pick}>
      {children}
    </button>
  );
}

function describe(line: TraceLine): string {
  const took = formatSeconds(line.duration_ms / 1000);
  return `${line.operation} · ${took}${line.error ? ` · ${strings.trace.failed}` : ""}`;
}

function Shown({ id, start, end }: { id: string; start: string; end: string }) {
  const trace = useQuery(queries.trace(id, start, end));
  if (trace.isPending) return <Loading rows={4} height={16} />;
  if (trace.isError) return <Problem error={trace.error} />;
  return <Waterfall trace={trace.data} />;
}
