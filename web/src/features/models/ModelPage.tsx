import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Facts, PageBody } from "../../ui/Facts";
import { Loading, Problem } from "../../ui/Notice";
import { Backtests } from "./Backtests";
import { Datasets } from "./Datasets";
import { DriftPanel } from "./DriftPanel";
import { ModelActions } from "./ModelActions";
import css from "./Models.module.css";
import { Releases } from "./Releases";
import { Runs } from "./Runs";
import { Shadow } from "./Shadow";
import { Traffic } from "./Traffic";
import { TrustPanel } from "./TrustPanel";
import { Versions } from "./Versions";

const route = getRouteApi("/signed-in/models/$name");
const words = strings.model;

/** One model: how it does in production, what could replace it, and how it came there. */
export function ModelPage() {
  const { name } = route.useParams();
  const model = useQuery(queries.model(name));
  return (
    <>
      <nav aria-label={strings.models.title}>
        <Link to="/models">← {words.back}</Link>
      </nav>
      {model.isPending ? <Loading rows={9} height={22} /> : null}
      {model.isError ? <Problem error={model.error} retry={() => void model.refetch()} /> : null}
      {model.isSuccess ? <Content model={model.data} /> : null}
    </>
  );
}

function Content({ model }: { model: ModelDetail }) {
  const live = model.traffic.find((part) => part.stage === "live");
  const drifting = model.drift.some((reading) => reading.finding?.state === "open");
  const kinds: Record<string, string> = strings.models.kinds;
  const facts: [string, React.ReactNode][] = [
    [words.liveVersion, live ? strings.models.version(live.version) : strings.none],
    [words.kind, kinds[model.kind] ?? model.kind],
    [words.owner, model.owner || strings.none],
  ];
  if (model.project) {
    facts.push([words.risk, model.project.risk || strings.none], [words.project, model.project.title]);
  }
  return (
    <PageBody
      title={model.model}
      badges={live ? <Badge value={drifting ? "affected" : "ok"} /> : null}
      actions={model.kind === "rules" ? null : <ModelActions model={model} />}
    >
      <Facts items={facts} />
      {model.kind === "served" ? <DriftPanel drift={model.drift} /> : null}
      {model.kind === "detector" && live ? <TrustPanel model={model.model} /> : null}
      {model.kind === "detector"
        ? model.traffic
            .filter((part) => part.stage === "shadow")
            .map((part) => <Shadow key={part.version} model={model.model} version={part.version} />)
        : null}
      {["detector", "ranker", "rules"].includes(model.kind) ? <Backtests model={model} /> : null}
      <div className={css.columns}>
        <Versions versions={model.versions} traffic={model.traffic} />
        <div className={css.form}>
          <Traffic traffic={model.traffic} />
          <Releases releases={model.releases} />
        </div>
      </div>
      {model.kind === "served" || model.project ? (
        <div className={css.columns}>
          <Runs runs={model.runs} />
          <Datasets datasets={model.datasets} />
        </div>
      ) : null}
    </PageBody>
  );
}
