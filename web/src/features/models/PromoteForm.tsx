import { Button, Modal, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { calls } from "../../api/calls";
import type { ModelDetail, ReleaseStage } from "../../api/types";
import { strings } from "../../strings";
import { Problem } from "../../ui/Notice";
import css from "./Models.module.css";
import { releaseWeight } from "./release";

const words = strings.model;
const STAGES = (["shadow", "canary", "live"] as const).map((value) => ({
  value,
  label: strings.states[value],
}));

interface FormProps {
  model: ModelDetail;
  close: () => void;
}

/** Append an entry to the release ledger. */
export function PromoteForm({ model, close }: FormProps) {
  const client = useQueryClient();
  const versions = [...model.versions].sort((a, b) => Number(b.version) - Number(a.version));
  const [version, setVersion] = useState(versions[0]?.version ?? "");
  const [stage, setStage] = useState<ReleaseStage>("canary");
  const failed =
    versions.find((each) => each.version === version)?.gates.some((gate) => !gate.passed) ?? false;
  const promote = useMutation({
    mutationFn: (form: FormData) =>
      calls.release(model.model, {
        version,
        stage,
        weight: releaseWeight(stage, String(form.get("weight") ?? "")),
        reason: String(form.get("reason") ?? ""),
      }),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model.model] }),
  });
  return (
    <Modal opened onClose={close} title={words.promoteTitle(model.model)}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          promote.mutate(new FormData(event.currentTarget));
        }}
      >
        <NativeSelect
          label={words.columns.version}
          data={versions.map((each) => ({
            value: each.version,
            label: strings.models.version(each.version),
          }))}
          value={version}
          onChange={(event) => setVersion(event.currentTarget.value)}
        />
        {failed ? <p className={css.warn}>{words.failedGates}</p> : null}
        <NativeSelect
          label={words.stage}
          data={STAGES}
          value={stage}
          onChange={(event) =>
            setStage(STAGES.find(({ value }) => value === event.currentTarget.value)?.value ?? "canary")
          }
        />
        {stage === "canary" ? (
          <TextInput
            name="weight"
            label={words.weight}
            type="number"
            min={1}
            max={99}
            defaultValue="10"
            required
          />
        ) : null}
        <TextInput
          name="reason"
          label={words.reason}
          description={words.reasonHint}
          required
          data-autofocus
        />
        {promote.isError ? <Problem error={promote.error} /> : null}
        <div className={css.formButtons}>
          <Button variant="default" onClick={close}>
            {words.cancel}
          </Button>
          <Button type="submit" loading={promote.isPending}>
            {words.promote}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
