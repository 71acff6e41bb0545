import { Button, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { calls } from "../../api/calls";
import { useCan, useSession } from "../../api/queries";
import type { Execution, StepRun } from "../../api/types";
import { strings } from "../../strings";
import { Problem } from "../../ui/Notice";
import css from "./Remedy.module.css";

const words = strings.remedy;

function useAct(execution: Execution) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (call: () => Promise<Execution>) => call(),
    onSettled: () => client.invalidateQueries({ queryKey: ["incident", execution.incident] }),
  });
}

/** Approve exactly what is shown (bound to its hash), or reject with a reason. */
export function Decision({ execution }: { execution: Execution }) {
  const { user } = useSession();
  const mayApprove = useCan("runbook:approve");
  const act = useAct(execution);
  const [rejecting, setRejecting] = useState(false);
  if (!mayApprove) return <p className={css.hint}>{words.notAllowed}</p>;
  if (execution.requester === user.name) return <p className={css.hint}>{words.ownRequest}</p>;
  return (
    <>
      {act.isError ? <Problem error={act.error} /> : null}
      {rejecting ? (
        <form
          className={css.buttons}
          onSubmit={(event) => {
            event.preventDefault();
            const reason = String(new FormData(event.currentTarget).get("reason") ?? "");
            act.mutate(() => calls.reject(execution.id, reason));
          }}
        >
          <TextInput
            name="reason"
            aria-label={words.rejectReason}
            placeholder={words.rejectReason}
            required
            autoFocus
          />
          <Button type="submit" variant="default" loading={act.isPending}>
            {words.reject}
          </Button>
          <Button variant="subtle" onClick={() => setRejecting(false)}>
            {strings.model.cancel}
          </Button>
        </form>
      ) : (
        <div className={css.buttons}>
          <Button
            loading={act.isPending}
            onClick={() => act.mutate(() => calls.approve(execution.id, execution.approval_hash))}
          >
            {execution.dry_run ? words.approveDry : words.approve}
          </Button>
          <Button variant="default" disabled={act.isPending} onClick={() => setRejecting(true)}>
            {words.reject}
          </Button>
        </div>
      )}
      <p className={css.hint}>{words.hashHint}</p>
    </>
  );
}

/** A step was cut short: only a person can say whether it took effect. */
export function Decide({ execution, step }: { execution: Execution; step: StepRun }) {
  const mayApprove = useCan("runbook:approve");
  const act = useAct(execution);
  return (
    <div className={css.decide}>
      <span>{words.decide}</span>
      {act.isError ? <Problem error={act.error} /> : null}
      {mayApprove ? (
        <div className={css.buttons}>
          <Button
            variant="default"
            onClick={() => act.mutate(() => calls.decide(execution.id, step.name, "succeeded"))}
          >
            {words.decideSucceeded}
          </Button>
          <Button
            variant="default"
            onClick={() => act.mutate(() => calls.decide(execution.id, step.name, "failed"))}
          >
            {words.decideFailed}
          </Button>
        </div>
      ) : (
        <span>{words.notAllowed}</span>
      )}
    </div>
  );
}
