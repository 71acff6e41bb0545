import { getRouteApi } from "@tanstack/react-router";
import type { GateResult, ModelDetail, ModelVersion } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Facts } from "../../ui/Facts";
import { formatNumber, shortHash } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { Ago } from "../../ui/Time";
import css from "./Models.module.css";

const route = getRouteApi("/signed-in/models/$name");
const words = strings.model;

interface VersionsProps {
  versions: readonly ModelVersion[];
  traffic: ModelDetail["traffic"];
}

/** All versions, newest first, with the gates that each passed or failed. */
export function Versions({ versions, traffic }: VersionsProps) {
  const { version: asked } = route.useSearch();
  const stages = new Map(traffic.map((part) => [part.version, part.stage]));
  const sorted = [...versions].sort((a, b) => Number(b.version) - Number(a.version));
  return (
    <Panel title={words.versions} hint={String(versions.length)} flush>
      {sorted.map((version, index) => (
        <VersionRow
          key={version.id}
          version={version}
          stage={stages.get(version.version)}
          open={asked === undefined ? index === 0 : asked === version.version}
        />
      ))}
    </Panel>
  );
}

function VersionRow({ version, stage, open }: { version: ModelVersion; stage?: string; open: boolean }) {
  const passed = version.gates.filter((gate) => gate.passed).length;
  const all = version.gates.length;
  const metrics = Object.entries(version.metrics).map(([name, value]): [string, string] => [
    name,
    formatNumber(value),
  ]);
  return (
    <details className={css.version} open={open}>
      <summary>
        <span className={css.versionName}>{strings.models.version(version.version)}</span>
        {stage ? <Badge value={stage} /> : null}
        {all > 0 ? (
          <Badge value={passed === all ? "passed" : "failed"} label={words.gatesPassed(passed, all)} plain />
        ) : (
          <span className={css.muted}>{words.noGates}</span>
        )}
        <span className={css.end}>
          <Ago time={version.created} />
        </span>
      </summary>
      {version.description ? <p className={css.facts}>{version.description}</p> : null}
      <div className={css.facts}>
        <Facts
          items={[
            ...metrics,
            [words.columns.dataset, <code key="dataset">{version.dataset || strings.none}</code>],
            [version.format, <code key="hash">{shortHash(version.artifact_sha256)}</code>],
          ]}
        />
      </div>
      <ul className={css.gates} aria-label={words.gates}>
        {version.gates.map((gate) => (
          <Gate key={gate.name} gate={gate} />
        ))}
      </ul>
    </details>
  );
}

function Gate({ gate }: { gate: GateResult }) {
  return (
    <li className={css.gate}>
      <Badge value={gate.passed ? "passed" : "failed"} plain />
      <span className={css.gateName}>{gate.name}</span>
      <span className={css.muted}>{gate.text}</span>
      <span>
        {formatNumber(gate.value)} <span className={css.muted}>/ {formatNumber(gate.limit)}</span>
      </span>
    </li>
  );
}
