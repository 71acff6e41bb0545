import { Button, Modal, NativeSelect } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { calls } from "../../api/calls";
import { queries } from "../../api/queries";
import type { Execution, Incident, Runbook } from "../../api/types";
import { strings } from "../../strings";
import { Loading, Problem } from "../../ui/Notice";
import { fittingFirst } from "./executions";
import css from "./Remedy.module.css";

const words = strings.remedy;

interface ProposeFormProps {
  incident: Incident;
  /** What may be acted on, the most suspect first. */
  entities: readonly string[];
  close: () => void;
}

/** Ask for a runbook by hand: rehearse it, then propose it to whoever may approve. */
export function ProposeForm({ incident, entities, close }: ProposeFormProps) {
  const runbooks = useQuery(queries.runbooks());
  return (
    <Modal opened onClose={close} title={words.proposeTitle}>
      {runbooks.isPending ? <Loading rows={4} /> : null}
      {runbooks.isError ? <Problem error={runbooks.error} /> : null}
      {runbooks.data ? (
        <Fields incident={incident} entities={entities} runbooks={runbooks.data.items} close={close} />
      ) : null}
    </Modal>
  );
}

function usePropose(incident: Incident, then?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: calls.propose,
    onSuccess: () => then?.(),
    onSettled: () => client.invalidateQueries({ queryKey: ["incident", incident.id] }),
  });
}

function Fields({
  incident,
  entities,
  runbooks,
  close,
}: ProposeFormProps & { runbooks: readonly Runbook[] }) {
  const [entity, setEntity] = useState(entities[0] ?? "");
  const [asked, setAsked] = useState("");
  const rehearse = usePropose(incident);
  const propose = usePropose(incident, close);
  const ordered = fittingFirst(runbooks, entity);
  const runbook = ordered.find(({ id }) => id === asked) ?? ordered[0];
  if (!runbook) return <p>{words.noRunbooks}</p>;
  const wanted = { runbook: runbook.id, incident: incident.id, entity };
  const forget = () => {
    rehearse.reset();
    propose.reset();
  };
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        propose.mutate({ ...wanted, dryRun: false });
      }}
    >
      <NativeSelect
        label={words.actOn}
        data={[...entities]}
        value={entity}
        data-autofocus
        onChange={(event) => {
          setEntity(event.currentTarget.value);
          forget();
        }}
      />
      <NativeSelect
        label={words.runbook}
        description={runbook.description}
        data={ordered.map(({ id, title }) => ({ value: id, label: title }))}
        value={runbook.id}
        onChange={(event) => {
          setAsked(event.currentTarget.value);
          forget();
        }}
      />
      {rehearse.isError ? <Problem error={rehearse.error} /> : null}
      {rehearse.data ? <Rehearsal execution={rehearse.data} /> : null}
      {propose.isError ? <Problem error={propose.error} /> : null}
      <p className={css.hint}>{words.proposeHint}</p>
      <div className={css.formButtons}>
        <Button variant="default" onClick={close}>
          {strings.model.cancel}
        </Button>
        <Button
          variant="default"
          loading={rehearse.isPending}
          onClick={() => rehearse.mutate({ ...wanted, dryRun: true })}
        >
          {words.rehearse}
        </Button>
        <Button type="submit" loading={propose.isPending}>
          {words.proposeSubmit}
        </Button>
      </div>
    </form>
  );
}

/** What each step would do, in the words of its action. */
function Rehearsal({ execution }: { execution: Execution }) {
  return (
    <div className={css.rehearsal} role="status">
      <span className={css.title}>{words.wouldDo}</span>
      <ol className={css.steps} aria-label={words.wouldDo}>
        {execution.steps.map((step) => (
          <li key={step.name} className={css.step}>
            <span className={css.stepName}>{step.name}</span>
            <span className={css.action}>{step.action}</span>
            <span className={css.output}>{step.output}</span>
          </li>
        ))}
      </ol>
      <span className={css.hint}>{words.mayTouch(execution.targets.join(", "))}</span>
    </div>
  );
}
