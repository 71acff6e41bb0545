import type { Execution, Incident, StepRun, Verdict } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Facts } from "../../ui/Facts";
import { shortHash } from "../../ui/format";
import { Ago, Clock, Span } from "../../ui/Time";
import { Decide, Decision } from "./Decision";
import { argumentRows, isOver } from "./executions";
import css from "./Remedy.module.css";
import { VerdictButtons } from "./VerdictButtons";

const words = strings.remedy;

interface ExecutionCardProps {
  execution: Execution;
  incident: Incident;
  verdicts: readonly Verdict[];
}

/** One run of a runbook: what exactly, who asked and approved, each step as it stands. */
export function ExecutionCard({ execution, incident, verdicts }: ExecutionCardProps) {
  return (
    <article className={css.execution} aria-label={execution.title}>
      <div className={css.head}>
        <span className={css.title}>{execution.title}</span>
        {execution.dry_run ? <Badge value="info" label={words.dryRun} /> : null}
        <Badge value={execution.state} />
      </div>
      <Arguments execution={execution} />
      <ol className={css.steps} aria-label={words.steps}>
        {execution.steps.map((step) => (
          <Step key={step.name} step={step} execution={execution} />
        ))}
      </ol>
      {execution.result ? <p className={css.result}>{execution.result}</p> : null}
      <People execution={execution} />
      {execution.state === "proposed" ? <Decision execution={execution} /> : null}
      {isOver(execution) && execution.approver ? (
        <div className={css.buttons}>
          <span className={css.hint}>{words.verdict}</span>
          <VerdictButtons
            subject="execution"
            subjectRef={execution.id}
            incident={incident.id}
            verdicts={verdicts}
          />
        </div>
      ) : null}
    </article>
  );
}

function Arguments({ execution }: { execution: Execution }) {
  const rows: [string, string][] = [
    ...argumentRows(execution),
    [words.targets, execution.targets.join(", ")],
  ];
  return (
    <dl className={css.arguments} aria-label={words.arguments}>
      {rows.map(([name, value]) => (
        <Pair key={name} name={name} value={value} />
      ))}
      <dt>{words.hash}</dt>
      <dd className="mono" title={`${execution.approval_hash}\n${words.hashHint}`}>
        {shortHash(execution.approval_hash)}
      </dd>
    </dl>
  );
}

function Pair({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="mono">{value}</dd>
    </>
  );
}

function Step({ step, execution }: { step: StepRun; execution: Execution }) {
  return (
    <li className={css.step}>
      <span>
        <span className={css.stepName}>{step.name}</span> <span className={css.action}>{step.action}</span>
      </span>
      <span>
        {step.started ? (
          <span className={css.hint}>
            <Span start={step.started} end={step.ended ?? null} />{" "}
          </span>
        ) : null}
        <Badge value={step.state} plain />
      </span>
      {step.output ? <span className={css.output}>{step.output}</span> : null}
      {step.state === "unknown" ? <Decide execution={execution} step={step} /> : null}
    </li>
  );
}

function People({ execution }: { execution: Execution }) {
  const facts: [string, React.ReactNode][] = [[words.requester, execution.requester]];
  if (execution.approver) facts.push([words.approver, execution.approver]);
  if (execution.approved_at) facts.push([words.approvedAt, <Clock key="at" time={execution.approved_at} />]);
  if (execution.state === "proposed")
    facts.push([words.expires, <Ago key="expires" time={execution.expires} />]);
  return <Facts items={facts} />;
}
