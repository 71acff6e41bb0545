import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { Problem } from "../../ui/Notice";
import css from "./Models.module.css";

const words = strings.model;

/** Give all traffic back to the version that was live before. */
export function RollbackForm({ model, close }: { model: ModelDetail; close: () => void }) {
  const client = useQueryClient();
  const live = [...model.releases].sort((a, b) => b.seq - a.seq).find((release) => release.stage === "live");
  const rollback = useMutation({
    mutationFn: (reason: string) => calls.rollback(model.model, reason),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model.model] }),
  });
  return (
    <Modal opened onClose={close} title={words.rollbackTitle(model.model)}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          rollback.mutate(String(new FormData(event.currentTarget).get("reason") ?? ""));
        }}
      >
        {live ? <p>{words.rollbackTo(live.previous)}</p> : null}
        <TextInput
          name="reason"
          label={words.reason}
          description={words.reasonHint}
          required
          data-autofocus
        />
        {rollback.isError ? <Problem error={rollback.error} /> : null}
        <div className={css.formButtons}>
          <Button variant="default" onClick={close}>
            {words.cancel}
          </Button>
          <Button type="submit" loading={rollback.isPending}>
            {words.rollback}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
