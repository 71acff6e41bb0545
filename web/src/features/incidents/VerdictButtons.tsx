import { ActionIcon, Tooltip } from "@mantine/core";
import { IconThumbDown, IconThumbUp, IconVolumeOff } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { useCan, useSession } from "../../api/queries";
import type { Verdict, VerdictSubject, VerdictValue } from "../../api/types";
import { strings } from "../../strings";
import css from "./Incident.module.css";
import { ownVerdict } from "./verdicts";

const ICONS = { right: IconThumbUp, wrong: IconThumbDown, noise: IconVolumeOff } as const;

interface VerdictButtonsProps {
  subject: VerdictSubject;
  /** Alert, incident, entity or execution id. */
  subjectRef: string;
  incident: string;
  verdicts: readonly Verdict[];
  values?: readonly VerdictValue[];
}

/** Right, wrong, noise: one click, and the next detector or ranker learns from it. */
export function VerdictButtons({
  subject,
  subjectRef,
  incident,
  verdicts,
  values = ["right", "wrong"],
}: VerdictButtonsProps) {
  const { user } = useSession();
  const allowed = useCan("incident:respond");
  const client = useQueryClient();
  const give = useMutation({
    mutationFn: (value: VerdictValue) =>
      calls.giveVerdict({ subject, ref: subjectRef, incident, value, note: "" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["incident", incident] }),
  });
  if (!allowed) return null;
  const given = give.isPending ? give.variables : ownVerdict(verdicts, subject, subjectRef, user.name);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would bring a border and cannot be inline in a table
    <span
      className={css.verdicts}
      role="group"
      aria-label={strings.verdict.label(strings.verdict.subjects[subject])}
    >
      {values.map((value) => {
        const Icon = ICONS[value];
        const label = give.isError ? give.error.message : strings.verdict[value];
        return (
          <Tooltip key={value} label={label} withArrow>
            <ActionIcon
              variant={given === value ? "filled" : "subtle"}
              color={given === value ? "indigo" : "gray"}
              size="sm"
              aria-label={strings.verdict[value]}
              aria-pressed={given === value}
              onClick={() => give.mutate(value)}
            >
              <Icon size={14} stroke={1.8} />
            </ActionIcon>
          </Tooltip>
        );
      })}
    </span>
  );
}
