import { Checkbox, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { calls } from "../../api/calls";
import type { ModelDetail, ReleaseStage } from "../../api/types";
import { strings } from "../../strings";
import css from "./Models.module.css";
import { ReleaseForm } from "./ReleaseForm";
import { releaseWeight } from "./release";

const words = strings.model;
const STAGES = (["shadow", "canary", "live"] as const).map((value) => ({
  value,
  label: strings.states[value],
}));

/** Put a version into a stage. */
export function PromoteForm({ model, close }: { model: ModelDetail; close: () => void }) {
  const versions = [...model.versions].sort((a, b) => Number(b.version) - Number(a.version));
  const [version, setVersion] = useState(versions[0]?.version ?? "");
  const [stage, setStage] = useState<ReleaseStage>("canary");
  const failed =
    versions.find((each) => each.version === version)?.gates.some((gate) => !gate.passed) ?? false;
  const act = (form: FormData, reason: string) =>
    calls.release(model.model, {
      version,
      stage,
      weight: releaseWeight(stage, String(form.get("weight") ?? "")),
      reason,
      accept_unknown: form.get("accept_unknown") !== null,
    });
  return (
    <ReleaseForm
      model={model.model}
      title={words.promoteTitle(model.model)}
      submit={words.promote}
      act={act}
      close={close}
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
      {stage === "live" && model.kind !== "served" ? (
        <Checkbox name="accept_unknown" label={words.acceptUnknown} description={words.acceptUnknownHint} />
      ) : null}
    </ReleaseForm>
  );
}
