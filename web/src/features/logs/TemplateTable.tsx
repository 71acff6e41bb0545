import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import type { LogTemplate } from "../../api/types";
import { strings } from "../../strings";
import { EntityName } from "../../ui/EntityName";
import { Muted } from "../../ui/Facts";
import { formatCount } from "../../ui/format";
import { severityWord } from "../../ui/LogLines";
import { Sparkline } from "../../ui/Sparkline";
import { Cell, type Column, Table } from "../../ui/Table";
import { Ago } from "../../ui/Time";
import css from "./Logs.module.css";
import { TemplateDetail } from "./TemplateDetail";
import { trendWord } from "./trend";

const route = getRouteApi("/signed-in/logs");
const words = strings.templates;
const SHOWN = 2;
const COLUMNS: Column[] = [
  { name: words.columns.text },
  { name: words.columns.severity, wideOnly: true },
  { name: words.columns.lines, number: true },
  { name: words.columns.trend, wideOnly: true },
  { name: words.columns.services, wideOnly: true },
  { name: words.columns.first, number: true, wideOnly: true },
  { name: words.columns.last, number: true, wideOnly: true },
];

/** Templates; one of them may be open and shows its lines below. */
export function TemplateTable({ items, open }: { items: readonly LogTemplate[]; open?: string }) {
  return (
    <Table label={words.panel} columns={COLUMNS}>
      {items.map((template) => (
        <Row key={template.id} template={template} open={template.id === open} />
      ))}
    </Table>
  );
}

function Row({ template, open }: { template: LogTemplate; open: boolean }) {
  const navigate = route.useNavigate();
  const Icon = open ? IconChevronDown : IconChevronRight;
  const toggle = () =>
    void navigate({
      search: (before) => ({ ...before, template: open ? undefined : template.id }),
      replace: true,
      resetScroll: false,
    });
  return (
    <>
      <tr>
        <Cell>
          <button type="button" className={css.open} aria-expanded={open} onClick={toggle}>
            <Icon size={14} aria-hidden />
            <span className={css.text}>{template.text}</span>
          </button>
          <div className={css.narrow}>
            <Severity template={template} />
            <Trend template={template} />
          </div>
        </Cell>
        <Cell wideOnly>
          <Severity template={template} />
        </Cell>
        <Cell number>
          {formatCount(template.lines)}
          {template.errors > 0 && template.errors < template.lines ? (
            <div>
              <Muted>{words.errorLines(template.errors)}</Muted>
            </div>
          ) : null}
        </Cell>
        <Cell wideOnly>
          <Trend template={template} />
        </Cell>
        <Cell wideOnly>
          <span className={css.services}>
            {template.uses.slice(0, SHOWN).map((use) => (
              <EntityName key={use.entity} id={use.entity} />
            ))}
            {template.uses.length > SHOWN ? <Muted>{words.more(template.uses.length - SHOWN)}</Muted> : null}
          </span>
        </Cell>
        <Cell number wideOnly>
          <Ago time={template.first_seen} />
        </Cell>
        <Cell number wideOnly>
          <Ago time={template.last_seen} />
        </Cell>
      </tr>
      {open ? (
        <tr>
          <td colSpan={COLUMNS.length} className={css.detail}>
            <TemplateDetail template={template} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

function Severity({ template: { severity } }: { template: LogTemplate }) {
  const tone = severity >= 17 ? css.error : severity >= 13 ? css.warn : css.calm;
  return <span className={tone}>{severityWord(severity)}</span>;
}

function Trend({ template: { trend } }: { template: LogTemplate }) {
  if (trend === null) return <Muted>{words.noRate}</Muted>;
  return (
    <span className={css.trend}>
      <Sparkline values={trend.rate} label={words.trend(trend.change)} />
      <Muted>{trendWord(trend)}</Muted>
    </span>
  );
}
