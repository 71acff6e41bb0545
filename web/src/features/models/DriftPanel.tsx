import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Suspense } from "react";
import { queries } from "../../api/queries";
import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { formatNumber } from "../../ui/format";
import { SeriesChart } from "../../ui/lazy";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ScoreBar } from "../../ui/ScoreBar";
import { useNow } from "../../ui/Time";
import { byDrift, driftBar, worstDrift } from "./drift";
import css from "./Models.module.css";

const route = getRouteApi("/signed-in/models/$name");
const WINDOW_MS = 60 * 60_000;
const STEP_MS = 30_000;
const NOTHING_OPEN = "none";
type Reading = ModelDetail["drift"][number];

/** How far each input and the output stand from the training data; the open one shows its series. */
export function DriftPanel({ drift }: { drift: ModelDetail["drift"] }) {
  const { feature } = route.useSearch();
  const navigate = route.useNavigate();
  const sorted = byDrift(drift);
  const open = feature ?? worstDrift(drift)?.entity;
  return (
    <Panel title={strings.model.drift} hint={strings.model.driftHint} flush>
      {drift.length === 0 ? <Empty title={strings.model.noDrift}>{strings.model.noDriftDetail}</Empty> : null}
      <ul>
        {sorted.map((reading) => (
          <DriftRow
            key={`${reading.entity} ${reading.series}`}
            reading={reading}
            open={reading.entity === open}
            toggle={(to) =>
              void navigate({
                search: (before) => ({ ...before, feature: to }),
                replace: true,
                resetScroll: false,
              })
            }
          />
        ))}
      </ul>
    </Panel>
  );
}

interface DriftRowProps {
  reading: Reading;
  open: boolean;
  toggle: (to: string) => void;
}

function DriftRow({ reading, open, toggle }: DriftRowProps) {
  const Chevron = open ? IconChevronDown : IconChevronRight;
  const drifting = reading.finding?.state === "open";
  return (
    <li className={css.driftItem}>
      <button
        type="button"
        className={css.driftRow}
        aria-expanded={open}
        onClick={() => toggle(open ? NOTHING_OPEN : reading.entity)}
      >
        <EntityName id={`${reading.entity.split(":")[0]}:${reading.feature}`} showKind />
        <ScoreBar
          {...driftBar(reading.value)}
          text={formatNumber(reading.value)}
          label={strings.models.driftLimit}
        />
        <Badge value={drifting ? "affected" : "ok"} plain />
        <Chevron size={14} aria-hidden />
      </button>
      {open ? <DriftChart reading={reading} /> : null}
    </li>
  );
}

function DriftChart({ reading }: { reading: Reading }) {
  const end = Math.ceil(useNow() / STEP_MS) * STEP_MS;
  const points = useQuery(
    queries.points(reading.series, new Date(end - WINDOW_MS).toISOString(), new Date(end).toISOString()),
  );
  return (
    <div className={css.chart}>
      {reading.finding ? <p className={css.reason}>{reading.finding.reason}</p> : null}
      {points.isPending ? <Loading rows={1} height={150} /> : null}
      {points.isError ? <Problem error={points.error} /> : null}
      {points.data?.time_ms.length === 0 ? strings.chart.empty : null}
      {points.data && points.data.time_ms.length > 0 ? (
        <Suspense fallback={<Loading rows={1} height={150} />}>
          <SeriesChart points={points.data} height={150} />
        </Suspense>
      ) : null}
    </div>
  );
}
