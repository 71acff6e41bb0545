import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import type { Diagnosis, Incident, Suspect, Verdict } from "../../api/types";
import { strings } from "../../strings";
import { EntityName } from "../../ui/EntityName";
import { formatPercent } from "../../ui/format";
import { Empty } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import { EvidenceList } from "./Evidence";
import css from "./Incident.module.css";
import { VerdictButtons } from "./VerdictButtons";

const route = getRouteApi("/signed-in/incidents/$id");
const words = strings.incident;

interface SuspectsProps {
  diagnosis: Diagnosis | null;
  incident: Incident;
  verdicts: readonly Verdict[];
}

/** Ranked causes; one is open at a time, and which one stands in the address. */
export function Suspects({ diagnosis, incident, verdicts }: SuspectsProps) {
  const { suspect: asked } = route.useSearch();
  const navigate = route.useNavigate();
  const suspects = diagnosis?.suspects ?? [];
  const open = asked ?? suspects[0]?.entity;
  return (
    <Panel title={words.suspects} hint={diagnosis ? words.ranker(diagnosis.ranker) : ""} flush>
      {suspects.length === 0 ? <Empty title={words.undiagnosed}>{withoutDiagnosis(incident)}</Empty> : null}
      <ol>
        {suspects.map((suspect, index) => (
          <SuspectRow
            key={suspect.entity}
            suspect={suspect}
            rank={index + 1}
            open={suspect.entity === open}
            incident={incident}
            verdicts={verdicts}
            toggle={(to) => void navigate({ search: { suspect: to }, replace: true, resetScroll: false })}
          />
        ))}
      </ol>
    </Panel>
  );
}

function withoutDiagnosis(incident: Incident): string {
  if (incident.merged_into) return words.undiagnosedMerged;
  return incident.state === "resolved" ? words.undiagnosedOver : words.undiagnosedDetail;
}

interface SuspectRowProps {
  suspect: Suspect;
  rank: number;
  open: boolean;
  incident: Incident;
  verdicts: readonly Verdict[];
  toggle: (to: string) => void;
}

const NOTHING_OPEN = "none";

function SuspectRow({ suspect, rank, open, incident, verdicts, toggle }: SuspectRowProps) {
  const Chevron = open ? IconChevronDown : IconChevronRight;
  return (
    <li className={css.suspect}>
      <div className={css.suspectHead}>
        <span className={`${css.rank} ${rank === 1 ? css.first : ""}`}>{rank}</span>
        <button
          type="button"
          className={css.open}
          aria-expanded={open}
          onClick={() => toggle(open ? NOTHING_OPEN : suspect.entity)}
        >
          <span className={css.who}>
            <EntityName id={suspect.entity} showKind />
            <Chevron size={14} aria-hidden />
          </span>
          <span className={css.reason}>{suspect.reason}</span>
        </button>
        <ScoreBar share={suspect.score} text={formatPercent(suspect.score)} label={words.score} />
        <VerdictButtons
          subject="suspect"
          subjectRef={suspect.entity}
          incident={incident.id}
          verdicts={verdicts}
        />
      </div>
      {open ? <EvidenceList suspect={suspect} incident={incident} /> : null}
    </li>
  );
}
