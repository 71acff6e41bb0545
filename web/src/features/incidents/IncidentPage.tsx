import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Suspense } from "react";
import { queries } from "../../api/queries";
import type { Incident, IncidentDetail } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Facts, Muted, PageBody } from "../../ui/Facts";
import { formatSpan } from "../../ui/format";
import { FlowMap } from "../../ui/lazy";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Moment, Span } from "../../ui/Time";
import { Actions } from "./Actions";
import { AlertsPanel } from "./AlertsPanel";
import css from "./Incident.module.css";
import { Remedy } from "./Remedy";
import { Suspects } from "./Suspects";
import { Timeline } from "./Timeline";

const route = getRouteApi("/signed-in/incidents/$id");
const words = strings.incident;

/** One incident: what is wrong, why, what to do, and the story so far. */
export function IncidentPage() {
  const { id } = route.useParams();
  const detail = useQuery(queries.incident(id));
  return (
    <>
      <nav className={css.crumb} aria-label={strings.incidents.title}>
        <Link to="/incidents">← {words.back}</Link>
      </nav>
      {detail.isPending ? <Loading rows={9} height={22} /> : null}
      {detail.isError ? <Problem error={detail.error} retry={() => void detail.refetch()} /> : null}
      {detail.isSuccess ? <Content detail={detail.data} /> : null}
    </>
  );
}

function Content({ detail }: { detail: IncidentDetail }) {
  const { incident, alerts, diagnosis, timeline, topology, executions, verdicts } = detail;
  return (
    <PageBody
      title={incident.title}
      badges={
        <>
          <Badge value={incident.severity} />
          <Badge value={incident.state} />
          {incident.backfilled ? <Muted>{strings.incidents.history}</Muted> : null}
        </>
      }
      actions={<Actions incident={incident} />}
    >
      {detail.merged_into ? <Others text={words.merged} incidents={[detail.merged_into]} /> : null}
      {detail.took_over.length > 0 ? <Others text={words.tookOver} incidents={detail.took_over} /> : null}
      {incident.summary ? <p className={css.summary}>{incident.summary}</p> : null}
      <Facts
        items={[
          [words.started, <Moment key="started" time={incident.start} />],
          [words.detected, formatSpan(Date.parse(incident.detected) - Date.parse(incident.start))],
          [
            incident.end === null ? words.lasting : words.lasted,
            <Span key="lasted" start={incident.start} end={incident.end} />,
          ],
          [words.owner, incident.owner || strings.incidents.nobody],
          [words.alerts, alerts.length],
          [words.entities, incident.entities.length],
        ]}
      />
      <div className={css.grid}>
        <div className={css.column}>
          <Suspects diagnosis={diagnosis} incident={incident} verdicts={verdicts} />
          {topology.entities.length > 0 ? (
            <div className={css.late}>
              <Panel title={words.map} hint={words.mapHint} flush>
                <Suspense fallback={<Loading rows={6} height={30} />}>
                  <FlowMap topology={topology} />
                </Suspense>
              </Panel>
            </div>
          ) : null}
          <div className={css.late}>
            <AlertsPanel alerts={alerts} incident={incident} verdicts={verdicts} />
          </div>
        </div>
        <div className={css.column}>
          <div className={css.middle}>
            <Remedy executions={executions} diagnosis={diagnosis} incident={incident} verdicts={verdicts} />
          </div>
          <div className={css.late}>
            <Timeline entries={timeline} incident={incident.id} />
          </div>
        </div>
      </div>
    </PageBody>
  );
}

/** Incidents that were merged with this one, by their titles. */
function Others({ text, incidents }: { text: string; incidents: readonly Incident[] }) {
  return (
    <p className={css.summary}>
      {text}{" "}
      {incidents.map((each, index) => (
        <span key={each.id}>
          {index > 0 ? ", " : ""}
          <Link to="/incidents/$id" params={{ id: each.id }}>
            {each.title}
          </Link>
        </span>
      ))}
    </p>
  );
}
