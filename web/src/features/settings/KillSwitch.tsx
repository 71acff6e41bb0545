import { Button } from "@mantine/core";
import { IconHandStop } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries, useCan } from "../../api/queries";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import css from "./Settings.module.css";

const words = strings.settings;

/** Stops every runbook step at once, whoever approved it. */
export function KillSwitch() {
  const client = useQueryClient();
  const allowed = useCan("runbook:approve");
  const current = useQuery(queries.killSwitch());
  const set = useMutation({
    mutationFn: (engaged: boolean) => calls.setKillSwitch(engaged),
    onSettled: () => client.invalidateQueries({ queryKey: ["kill-switch"] }),
  });
  const engaged = current.data?.engaged ?? false;
  return (
    <Panel
      title={words.kill}
      aside={
        current.data ? (
          <Badge
            value={engaged ? "active" : "ok"}
            label={engaged ? strings.states.active : words.killState}
          />
        ) : null
      }
    >
      {current.isPending ? <Loading rows={1} /> : null}
      {current.isError ? <Problem error={current.error} /> : null}
      {current.data ? (
        <div className={css.row}>
          <span>{engaged ? words.killOn : words.killOff}</span>
          {allowed ? (
            <Button
              variant="default"
              leftSection={<IconHandStop size={14} />}
              loading={set.isPending}
              onClick={() => set.mutate(!engaged)}
            >
              {engaged ? words.release : words.engage}
            </Button>
          ) : null}
        </div>
      ) : null}
      {set.isError ? <Problem error={set.error} /> : null}
    </Panel>
  );
}
