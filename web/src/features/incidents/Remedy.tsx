import { Button } from "@mantine/core";
import { IconPlayerPlay } from "@tabler/icons-react";
import { useState } from "react";
import { useCan } from "../../api/queries";
import type { Diagnosis, Execution, Incident, Verdict } from "../../api/types";
import { strings } from "../../strings";
import { Empty } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { ExecutionCard } from "./ExecutionCard";
import { candidates, currentFirst, isOver } from "./executions";
import { ProposeForm } from "./ProposeForm";
import css from "./Remedy.module.css";

interface RemedyProps {
  executions: readonly Execution[];
  diagnosis: Diagnosis | null;
  incident: Incident;
  verdicts: readonly Verdict[];
}

/** All that is proposed or running now; what ran before is folded away. A person may ask for another runbook. */
export function Remedy({ executions, diagnosis, incident, verdicts }: RemedyProps) {
  const ordered = currentFirst(executions);
  const count = Math.max(1, ordered.filter((execution) => !isOver(execution)).length);
  const current = ordered.slice(0, count);
  const earlier = ordered.slice(count);
  return (
    <Panel
      title={strings.remedy.title}
      aside={<Propose incident={incident} entities={candidates(diagnosis, incident)} />}
      flush
    >
      {current.map((execution) => (
        <ExecutionCard key={execution.id} execution={execution} incident={incident} verdicts={verdicts} />
      ))}
      {current.length === 0 ? <Empty title={strings.remedy.none}>{strings.remedy.noneDetail}</Empty> : null}
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

function Propose({ incident, entities }: { incident: Incident; entities: readonly string[] }) {
  const [open, setOpen] = useState(false);
  const allowed = useCan("incident:respond");
  if (!allowed || incident.state === "resolved" || entities.length === 0) return null;
  return (
    <>
      <Button
        variant="default"
        size="compact-xs"
        leftSection={<IconPlayerPlay size={13} />}
        onClick={() => setOpen(true)}
      >
        {strings.remedy.propose}
      </Button>
      {open ? <ProposeForm incident={incident} entities={entities} close={() => setOpen(false)} /> : null}
    </>
  );
}
