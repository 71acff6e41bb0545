import { calls } from "../../api/calls";
import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { ReleaseForm } from "./ReleaseForm";

const words = strings.model;

/** Give all traffic back to the version that was live before. */
export function RollbackForm({ model, close }: { model: ModelDetail; close: () => void }) {
  const live = [...model.releases].sort((a, b) => b.seq - a.seq).find((release) => release.stage === "live");
  return (
    <ReleaseForm
      model={model.model}
      title={words.rollbackTitle(model.model)}
      submit={words.rollback}
      act={(_, reason) => calls.rollback(model.model, reason)}
      close={close}
    >
      {live ? <p>{words.rollbackTo(live.previous)}</p> : null}
    </ReleaseForm>
  );
}
