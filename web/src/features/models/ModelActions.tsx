import { Button } from "@mantine/core";
import { IconArrowUpCircle, IconPlayerPlay, IconRotate2 } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { calls } from "../../api/calls";
import { useCan } from "../../api/queries";
import type { ModelDetail } from "../../api/types";
import { strings } from "../../strings";
import { Muted } from "../../ui/Facts";
import { Problem } from "../../ui/Notice";
import { PromoteForm } from "./PromoteForm";
import { RollbackForm } from "./RollbackForm";

const words = strings.model;

/** Train, promote, roll back; each with its reason, none by accident. */
export function ModelActions({ model }: { model: ModelDetail }) {
  const [form, setForm] = useState<"promote" | "rollback" | null>(null);
  const mayTrain = useCan("model:train");
  const mayRelease = useCan("model:release");
  const client = useQueryClient();
  const train = useMutation({
    mutationFn: (project: string) => calls.train(project),
    onSettled: () => client.invalidateQueries({ queryKey: ["model", model.model] }),
  });
  const { project } = model;
  const hasPrevious = model.releases.some((release) => release.stage === "live" && release.previous !== "");
  const close = () => setForm(null);
  return (
    <>
      {train.isError ? <Problem error={train.error} /> : null}
      {train.isSuccess ? <Muted>{words.training(train.data.workflow_id.slice(0, 12))}</Muted> : null}
      {project && mayTrain ? (
        <Button
          variant="default"
          leftSection={<IconPlayerPlay size={14} />}
          loading={train.isPending}
          onClick={() => train.mutate(project.id)}
        >
          {words.train}
        </Button>
      ) : null}
      {mayRelease && hasPrevious ? (
        <Button variant="default" leftSection={<IconRotate2 size={14} />} onClick={() => setForm("rollback")}>
          {words.rollback}
        </Button>
      ) : null}
      {mayRelease && model.versions.length > 0 ? (
        <Button leftSection={<IconArrowUpCircle size={14} />} onClick={() => setForm("promote")}>
          {words.promote}
        </Button>
      ) : null}
      {form === "promote" ? <PromoteForm model={model} close={close} /> : null}
      {form === "rollback" ? <RollbackForm model={model} close={close} /> : null}
    </>
  );
}
