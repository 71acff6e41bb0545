import {
  IconAffiliate,
  IconArrowsSplit,
  IconChartLine,
  IconFileText,
  IconGitCommit,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Suspense } from "react";
import { queries } from "../../api/queries";
import type { Evidence, Incident, Suspect } from "../../api/types";
import { strings } from "../../strings";
import { Facts } from "../../ui/Facts";
import { formatMoment, formatPercent, formatSpan } from "../../ui/format";
import { LogLines } from "../../ui/LogLines";
import { SeriesChart } from "../../ui/lazy";
import { safeLink } from "../../ui/link";
import { Loading, Problem } from "../../ui/Notice";
import { Waterfall } from "../../ui/trace/Waterfall";
import css from "./Incident.module.css";
import { chartWindow, traceWindow } from "./window";

const words = strings.incident;
const ICONS = {
  series: IconChartLine,
  trace: IconArrowsSplit,
  log: IconFileText,
  change: IconGitCommit,
  topology: IconAffiliate,
} as const;

/** Everything that speaks for one suspect, strongest first. */
export function EvidenceList({ suspect, incident }: { suspect: Suspect; incident: Incident }) {
  const pieces = [...suspect.evidence].sort((a, b) => b.weight - a.weight);
  return (
    <ul className={css.evidence} aria-label={words.evidence}>
      {pieces.map((piece) => (
        <li key={`${piece.kind} ${piece.ref} ${piece.text}`} className={css.piece}>
          <Piece piece={piece} incident={incident} pieces={pieces} />
        </li>
      ))}
    </ul>
  );
}

interface PieceProps {
  piece: Evidence;
  incident: Incident;
  pieces: readonly Evidence[];
}

function Piece({ piece, incident, pieces }: PieceProps) {
  const Icon = ICONS[piece.kind];
  return (
    <>
      <div className={css.pieceHead}>
        <Icon size={15} stroke={1.8} aria-hidden />
        <span className="visually-hidden">{words.kinds[piece.kind]}: </span>
        <span className={css.pieceText}>{piece.text}</span>
        {piece.weight > 0 ? (
          <span className={css.weight}>{words.weight(formatPercent(piece.weight))}</span>
        ) : null}
      </div>
      {piece.kind === "series" ? <SeriesPiece piece={piece} incident={incident} pieces={pieces} /> : null}
      {piece.kind === "trace" ? <TracePiece piece={piece} /> : null}
      {piece.kind === "log" ? <LogPiece piece={piece} /> : null}
      {piece.kind === "change" ? <ChangePiece piece={piece} incident={incident} /> : null}
    </>
  );
}

function SeriesPiece({ piece, incident, pieces }: PieceProps) {
  const { start, end } = chartWindow(piece, incident);
  const points = useQuery(queries.points(piece.ref, start, end));
  if (points.isPending) return <Loading rows={1} height={168} />;
  if (points.isError) return <Problem error={points.error} />;
  const marks = pieces
    .filter((each) => each.kind === "change")
    .map((each) => ({
      time: each.start,
      text: each.attributes.version ?? each.attributes.change ?? words.kinds.change,
    }));
  return (
    <div className={css.box}>
      {points.data.time_ms.length === 0 ? (
        strings.chart.empty
      ) : (
        <Suspense fallback={<Loading rows={1} height={168} />}>
          <SeriesChart points={points.data} marks={marks} />
        </Suspense>
      )}
    </div>
  );
}

function TracePiece({ piece }: { piece: Evidence }) {
  const { start, end } = traceWindow(piece);
  const trace = useQuery(queries.trace(piece.ref, start, end));
  if (trace.isPending) return <Loading rows={4} height={16} />;
  if (trace.isError) return <Problem error={trace.error} />;
  return (
    <div className={css.box}>
      <Waterfall trace={trace.data} />
    </div>
  );
}

function LogPiece({ piece }: { piece: Evidence }) {
  const logs = useQuery(queries.logs(piece.entity, piece.start, piece.end, piece.attributes.q ?? ""));
  if (logs.isPending) return <Loading rows={3} height={14} />;
  if (logs.isError) return <Problem error={logs.error} />;
  return logs.data.items.length > 0 ? (
    <LogLines lines={logs.data.items} />
  ) : (
    <span>{strings.logs.empty}</span>
  );
}

function ChangePiece({ piece, incident }: { piece: Evidence; incident: Incident }) {
  const before = Date.parse(incident.start) - Date.parse(piece.start);
  const link = safeLink(piece.attributes.link);
  const distance =
    before >= 0 ? words.changeBefore(formatSpan(before)) : words.changeAfter(formatSpan(-before));
  const facts: [string, React.ReactNode][] = [
    [words.changeWhen, `${formatMoment(piece.start)} · ${distance}`],
  ];
  if (piece.attributes.version) facts.push([words.changeVersion, piece.attributes.version]);
  if (piece.attributes.source) facts.push([words.changeSource, piece.attributes.source]);
  return (
    <div className={css.box}>
      <Facts items={facts} />
      {link ? (
        <a href={link} target="_blank" rel="noreferrer noopener">
          {words.changeLink}
        </a>
      ) : null}
    </div>
  );
}
