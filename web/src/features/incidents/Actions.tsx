import { Button } from "@mantine/core";
import { IconCircleCheck, IconEye, IconUserCheck } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { useCan, useSession } from "../../api/queries";
import type { Incident } from "../../api/types";
import { strings } from "../../strings";
import { Problem } from "../../ui/Notice";

const words = strings.incident;

/** Acknowledge, take, close. */
export function Actions({ incident }: { incident: Incident }) {
  const { user } = useSession();
  const allowed = useCan("incident:respond");
  const client = useQueryClient();
  const act = useMutation({
    mutationFn: (call: () => Promise<Incident>) => call(),
    onSettled: () => client.invalidateQueries({ queryKey: ["incident", incident.id] }),
  });
  if (!allowed || incident.state === "resolved") return null;
  return (
    <>
      {act.isError ? <Problem error={act.error} /> : null}
      {incident.owner !== user.name ? (
        <Button
          variant="default"
          leftSection={<IconUserCheck size={14} />}
          onClick={() => act.mutate(() => calls.assign(incident.id, user.name))}
        >
          {words.assign}
        </Button>
      ) : null}
      {incident.state === "open" ? (
        <Button
          variant="default"
          leftSection={<IconEye size={14} />}
          onClick={() => act.mutate(() => calls.acknowledge(incident.id))}
        >
          {words.acknowledge}
        </Button>
      ) : null}
      <Button
        variant="default"
        leftSection={<IconCircleCheck size={14} />}
        onClick={() => act.mutate(() => calls.resolve(incident.id))}
      >
        {words.resolve}
      </Button>
    </>
  );
}
