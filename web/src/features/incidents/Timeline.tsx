import { Button, TextInput } from "@mantine/core";
import {
  IconBell,
  IconBellOff,
  IconBolt,
  IconCheck,
  IconCircleCheck,
  IconGitCommit,
  IconHandStop,
  IconMessage,
  IconPlayerPlay,
  IconSearch,
  IconSend,
  IconThumbUp,
  IconUserCheck,
  IconX,
} from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { useCan } from "../../api/queries";
import type { TimelineEntry, TimelineKind } from "../../api/types";
import { strings } from "../../strings";
import { Empty, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Clock } from "../../ui/Time";
import css from "./Incident.module.css";

const words = strings.incident;

const LOOKS: Record<TimelineKind, { icon: typeof IconBell; dot: string | undefined }> = {
  opened: { icon: IconBolt, dot: css.alertDot },
  alert: { icon: IconBell, dot: css.alertDot },
  alert_resolved: { icon: IconBellOff, dot: css.goodDot },
  change: { icon: IconGitCommit, dot: css.changeDot },
  diagnosis: { icon: IconSearch, dot: css.actDot },
  proposed: { icon: IconHandStop, dot: css.actDot },
  approved: { icon: IconUserCheck, dot: css.actDot },
  rejected: { icon: IconX, dot: undefined },
  step: { icon: IconPlayerPlay, dot: css.actDot },
  verified: { icon: IconCheck, dot: css.goodDot },
  notice: { icon: IconSend, dot: undefined },
  verdict: { icon: IconThumbUp, dot: undefined },
  acknowledged: { icon: IconUserCheck, dot: css.actDot },
  resolved: { icon: IconCircleCheck, dot: css.goodDot },
  note: { icon: IconMessage, dot: undefined },
};

/** The whole story, oldest first. */
export function Timeline({ entries, incident }: { entries: readonly TimelineEntry[]; incident: string }) {
  const allowed = useCan("incident:respond");
  const sorted = [...entries].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  return (
    <Panel title={words.timeline} hint={words.entries(entries.length)} flush>
      {sorted.length === 0 ? <Empty title={words.emptyTimeline} /> : null}
      <ol className={css.timeline}>
        {sorted.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ol>
      {allowed ? <NoteForm incident={incident} /> : null}
    </Panel>
  );
}

function Entry({ entry }: { entry: TimelineEntry }) {
  const look = LOOKS[entry.kind];
  const Icon = look.icon;
  return (
    <li className={css.entry}>
      <span className={`${css.dot} ${look.dot ?? ""}`}>
        <Icon size={12} stroke={2} aria-hidden />
      </span>
      <span className={css.entryText}>
        {entry.text}
        {entry.actor === strings.twofold ? null : <span className={css.by}> · {entry.actor}</span>}
      </span>
      <span className={css.when}>
        <Clock time={entry.time} />
      </span>
    </li>
  );
}

function NoteForm({ incident }: { incident: string }) {
  const client = useQueryClient();
  const add = useMutation({
    mutationFn: (text: string) => calls.note(incident, text),
    onSettled: () => client.invalidateQueries({ queryKey: ["incident", incident] }),
  });
  return (
    <>
      {add.isError ? <Problem error={add.error} /> : null}
      <form
        className={css.noteForm}
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          const text = String(new FormData(form).get("text") ?? "").trim();
          if (text) add.mutate(text, { onSuccess: () => form.reset() });
        }}
      >
        <TextInput name="text" aria-label={words.noteLabel} placeholder={words.note} autoComplete="off" />
        <Button type="submit" variant="default" loading={add.isPending}>
          {words.noteSubmit}
        </Button>
      </form>
    </>
  );
}
