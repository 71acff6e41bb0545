import { IconCircleCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { Home, Incident } from "../../api/types";
import { strings } from "../../strings";
import { Facts, PageBody } from "../../ui/Facts";
import { formatBytes, formatCount, formatNumber, formatSeconds } from "../../ui/format";
import { IncidentLine } from "../../ui/IncidentLine";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Budgets } from "./Budgets";
import { Changes } from "./Changes";
import { Forecasts } from "./Forecasts";
import css from "./Home.module.css";
import { ModelsAtRisk } from "./ModelsAtRisk";
import { NoiseFunnel } from "./NoiseFunnel";
import { Welcome } from "./Welcome";

/** What needs a person now, what changed, and whether Twofold itself is well. */
export function HomePage() {
  const home = useQuery(queries.home());
  if (home.isPending) return <Loading rows={9} height={22} />;
  if (home.isError) return <Problem error={home.error} retry={() => void home.refetch()} />;
  return <Content home={home.data} />;
}

function Content({ home }: { home: Home }) {
  const { counts, health } = home;
  const untouched = health.series === 0 && home.recent_incidents.length === 0;
  return (
    <PageBody title={strings.home.title}>
      <Facts
        big
        items={[
          [strings.states.open, formatCount(counts.open)],
          [strings.home.acknowledged, formatCount(counts.acknowledged)],
          [strings.home.firing, formatCount(counts.alerts_firing)],
          [strings.home.resolved, formatCount(counts.resolved_24h)],
          [strings.home.risk, formatCount(home.models_at_risk.length)],
        ]}
      />
      <div className={css.grid}>
        <div className={css.column}>
          {untouched ? <Welcome /> : <OpenIncidents home={home} />}
          {home.recent_incidents.length > 0 ? (
            <Panel
              title={strings.home.recent}
              aside={<Link to="/incidents">{strings.home.allIncidents}</Link>}
              flush
            >
              <Lines incidents={home.recent_incidents} />
            </Panel>
          ) : null}
        </div>
        <div className={css.column}>
          <Budgets slos={home.slos} />
          <Forecasts forecasts={home.forecasts} />
          <NoiseFunnel removed={home.noise_removed} />
          <ModelsAtRisk models={home.models_at_risk} />
          <Changes changes={home.changes} />
          <Panel title={strings.home.health}>
            <Facts
              items={[
                [strings.home.entities, formatCount(health.entities)],
                [strings.home.series, formatCount(health.series)],
                [strings.home.rate, formatNumber(health.points_per_s)],
                [strings.home.lag, formatSeconds(health.lag_s)],
                [strings.home.journal, formatBytes(health.journal_bytes)],
              ]}
            />
          </Panel>
        </div>
      </div>
    </PageBody>
  );
}

function OpenIncidents({ home }: { home: Home }) {
  return (
    <Panel title={strings.home.open} flush>
      {home.open_incidents.length > 0 ? (
        <Lines incidents={home.open_incidents} />
      ) : (
        <div className={css.quiet}>
          <IconCircleCheck size={26} aria-hidden />
          <div>
            <div className={css.quietTitle}>{strings.home.quiet}</div>
            <div className={css.muted}>
              {strings.home.quietDetail(home.health.series, home.health.entities)}
            </div>
          </div>
        </div>
      )}
    </Panel>
  );
}

function Lines({ incidents }: { incidents: readonly Incident[] }) {
  return (
    <ul>
      {incidents.map((incident) => (
        <IncidentLine
          key={incident.id}
          incident={incident}
          title={
            <Link to="/incidents/$id" params={{ id: incident.id }}>
              {incident.title}
            </Link>
          }
        />
      ))}
    </ul>
  );
}
