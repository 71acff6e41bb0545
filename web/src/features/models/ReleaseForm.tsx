import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { strings } from "../../strings";
import { Problem } from "../../ui/Notice";
import css from "./Models.module.css";

const words = strings.model;

interface ReleaseFormProps {
  model: string;
  title: string;
  submit: string;
  act: (form: FormData, reason: string) => Promise<unknown>;
  close: () => void;
  children?: ReactNode;
}

/** Append an entry to a model's release ledger, with a reason. */
export function ReleaseForm({ model, title, submit, act, close, children }: ReleaseFormProps) {
  const client = useQueryClient();
  const acting = useMutation({
    mutationFn: (form: FormData) => act(form, String(form.get("reason") ?? "")),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model] }),
  });
  return (
    <Modal opened onClose={close} title={title}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          acting.mutate(new FormData(event.currentTarget));
        }}
      >
        {children}
        <TextInput
          name="reason"
          label={words.reason}
          description={words.reasonHint}
          required
          data-autofocus
        />
        {acting.isError ? <Problem error={acting.error} /> : null}
        <div className={css.formButtons}>
          <Button variant="default" onClick={close}>
            {words.cancel}
          </Button>
          <Button type="submit" loading={acting.isPending}>
            {submit}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
