import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Suspense } from "react";
import { queries } from "../../api/queries";
import type { Explanation } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { Facts, PageBody } from "../../ui/Facts";
import { formatMoment, formatNumber, formatUnit } from "../../ui/format";
import { SeriesChart } from "../../ui/lazy";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Moment } from "../../ui/Time";
import { Contributions } from "./Contributions";
import css from "./Finding.module.css";
import { Past } from "./Past";
import { Requests } from "./Requests";
import { Silencers } from "./Silencers";
import { around, lowest } from "./window";

const route = getRouteApi("/signed-in/findings/$id");
const words = strings.finding;

/** One finding: why it fired, what drove it, what was like it before, and what would silence it. */
export function FindingPage() {
  const { id } = route.useParams();
  const explanation = useQuery(queries.explanation(id));
  if (explanation.isPending) return <Loading rows={9} height={22} />;
  if (explanation.isError) {
    return <Problem error={explanation.error} retry={() => void explanation.refetch()} />;
  }
  return <Content told={explanation.data} />;
}

function Content({ told }: { told: Explanation }) {
  const { finding } = told;
  return (
    <>
      {told.incident ? (
        <nav className={css.crumb} aria-label={words.incident}>
          <Link to="/incidents/$id" params={{ id: told.incident }}>
            ← {told.incident_title}
          </Link>
        </nav>
      ) : null}
      <PageBody
        title={finding.reason}
        badges={<Badge value={finding.state === "open" ? "open" : "resolved"} />}
      >
        <Numbers told={told} />
        <div className={css.grid}>
          <div className={css.column}>
            <Panel title={words.series} flush>
              <Chart told={told} />
            </Panel>
            <Panel title={words.why} hint={told.replayed ? words.replayed : words.recorded}>
              <ul className={css.reasons}>
                {told.reasons.map((reason) => (
                  <li key={reason}>{reason}</li>
                ))}
              </ul>
            </Panel>
            <Requests finding={finding} />
            <Silencers silencers={told.silencers} model={told.detector.model} />
          </div>
          <div className={css.column}>
            <Contributions told={told} />
            <Past told={told} />
          </div>
        </div>
      </PageBody>
    </>
  );
}

function Numbers({ told: { finding, detector } }: { told: Explanation }) {
  const { facts } = words;
  const text = (value: number | null) => formatUnit(value, finding.unit);
  return (
    <Facts
      items={[
        [words.of, <EntityName key="entity" id={finding.entity} showKind />],
        [facts.began, <Moment key="began" time={finding.onset} />],
        [facts.value, text(finding.value)],
        [facts.expected, text(finding.expected)],
        [facts.band, `${text(lowest(finding))} – ${text(finding.high)}`],
        [facts.effect, words.effect(formatNumber(Math.abs(finding.effect ?? 0)))],
        [facts.score, words.score(finding.score)],
        [facts.detector, detector.id],
        ...(detector.released
          ? ([[facts.live, `${formatMoment(detector.released)}, ${words.by(detector.approver)}`]] as [
              string,
              string,
            ][])
          : []),
      ]}
    />
  );
}

function Chart({ told: { finding } }: { told: Explanation }) {
  const { start, end } = around(finding);
  const points = useQuery(queries.points(finding.series, start, end));
  if (points.isPending) return <Loading rows={1} height={168} />;
  if (points.isError) return <Problem error={points.error} />;
  return (
    <div className={css.chart}>
      {points.data.time_ms.length === 0 ? (
        strings.chart.empty
      ) : (
        <Suspense fallback={<Loading rows={1} height={168} />}>
          <SeriesChart points={points.data} />
        </Suspense>
      )}
    </div>
  );
}
