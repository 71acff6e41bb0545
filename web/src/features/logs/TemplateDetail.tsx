import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import type { LogTemplate } from "../../api/types";
import { strings } from "../../strings";
import { Facts } from "../../ui/Facts";
import { LogLines } from "../../ui/LogLines";
import { Loading, Problem } from "../../ui/Notice";
import { Moment } from "../../ui/Time";
import css from "./Logs.module.css";

const words = strings.templates;

/** Who writes a template, and its newest lines. */
export function TemplateDetail({ template }: { template: LogTemplate }) {
  const lines = useQuery(queries.templateLines(template.id, ""));
  return (
    <div className={css.inside}>
      <Facts
        items={[
          [words.id, <code key="id">{template.id}</code>],
          [words.first, <Moment key="first" time={template.first_seen} />],
          ...template.uses.map((use): [string, string] => [use.entity, words.lineCount(use.lines)]),
        ]}
      />
      <p className={css.example}>
        {words.example}: <code>{template.example}</code>
      </p>
      <h3 className={css.heading}>{words.lines}</h3>
      {lines.isPending ? <Loading rows={4} height={14} /> : null}
      {lines.isError ? <Problem error={lines.error} /> : null}
      {lines.data?.items.length === 0 ? <p>{words.noLines}</p> : null}
      {lines.data && lines.data.items.length > 0 ? <LogLines lines={lines.data.items} /> : null}
    </div>
  );
}
