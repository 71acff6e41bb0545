import type { Execution, Incident, Verdict } from "../../api/types";
import { strings } from "../../strings";
import { Empty } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ExecutionCard } from "./ExecutionCard";
import { currentFirst } from "./executions";
import css from "./Remedy.module.css";

interface RemedyProps {
  executions: readonly Execution[];
  incident: Incident;
  verdicts: readonly Verdict[];
}

/** What is proposed or running now; what ran before is folded away. */
export function Remedy({ executions, incident, verdicts }: RemedyProps) {
  const [current, ...earlier] = currentFirst(executions);
  return (
    <Panel title={strings.remedy.title} flush>
      {current ? (
        <ExecutionCard execution={current} incident={incident} verdicts={verdicts} />
      ) : (
        <Empty title={strings.remedy.none}>{strings.remedy.noneDetail}</Empty>
      )}
      {earlier.length > 0 ? (
        <details className={css.earlier}>
          <summary>
            {strings.remedy.earlier} ({earlier.length})
          </summary>
          {earlier.map((execution) => (
            <ExecutionCard key={execution.id} execution={execution} incident={incident} verdicts={verdicts} />
          ))}
        </details>
      ) : null}
    </Panel>
  );
}
