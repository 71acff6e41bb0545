import {
  IconAlertTriangle,
  IconBell,
  IconBellRinging,
  IconBolt,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClock,
  IconEye,
  IconFlame,
  IconHandStop,
  IconHelpCircle,
  IconHourglass,
  IconInfoCircle,
  IconLoader2,
  IconPlayerSkipForward,
  IconRocket,
  IconRotate2,
  IconTarget,
  IconUserCheck,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import { strings } from "../strings";
import css from "./Badge.module.css";

type Tone = "critical" | "warning" | "ok" | "accent" | "unknown" | "neutral";
type Icon = ComponentType<{ size?: number; stroke?: number; className?: string }>;
interface Look {
  tone: Tone;
  icon: Icon;
  spin?: boolean;
}

/** Every state has a colour, an icon and a word; none depends on another. */
const LOOKS: Record<string, Look> = {
  critical: { tone: "critical", icon: IconFlame },
  warning: { tone: "warning", icon: IconAlertTriangle },
  info: { tone: "neutral", icon: IconInfoCircle },
  open: { tone: "critical", icon: IconBolt },
  acknowledged: { tone: "accent", icon: IconUserCheck },
  resolved: { tone: "ok", icon: IconCircleCheck },
  firing: { tone: "critical", icon: IconBellRinging },
  alert: { tone: "neutral", icon: IconBell },
  ok: { tone: "ok", icon: IconCircleCheck },
  suspect: { tone: "critical", icon: IconTarget },
  affected: { tone: "warning", icon: IconAlertTriangle },
  drifting: { tone: "warning", icon: IconAlertTriangle },
  proposed: { tone: "accent", icon: IconHandStop },
  approved: { tone: "accent", icon: IconUserCheck },
  running: { tone: "accent", icon: IconLoader2, spin: true },
  verifying: { tone: "accent", icon: IconLoader2, spin: true },
  succeeded: { tone: "ok", icon: IconCircleCheck },
  failed: { tone: "critical", icon: IconCircleX },
  rejected: { tone: "neutral", icon: IconCircleX },
  expired: { tone: "neutral", icon: IconHourglass },
  unknown: { tone: "unknown", icon: IconHelpCircle },
  pending: { tone: "neutral", icon: IconCircleDashed },
  skipped: { tone: "neutral", icon: IconPlayerSkipForward },
  live: { tone: "ok", icon: IconRocket },
  canary: { tone: "accent", icon: IconEye },
  shadow: { tone: "neutral", icon: IconEye },
  retired: { tone: "neutral", icon: IconClock },
  rolled_back: { tone: "warning", icon: IconRotate2 },
  active: { tone: "critical", icon: IconBolt },
  requested: { tone: "neutral", icon: IconClock },
  done: { tone: "ok", icon: IconCircleCheck },
  burning: { tone: "warning", icon: IconFlame },
  exhausted: { tone: "critical", icon: IconFlame },
  passed: { tone: "ok", icon: IconCircleCheck },
};

const FALLBACK: Look = { tone: "neutral", icon: IconHelpCircle };

interface BadgeProps {
  /** A state's name as on the wire; unknown ones are shown as they are. */
  value: string;
  label?: string;
  /** Without the filled background, for dense rows. */
  plain?: boolean;
}

/** A state as icon and word. */
export function Badge({ value, label, plain = false }: BadgeProps) {
  const look = LOOKS[value] ?? FALLBACK;
  const words: Record<string, string> = strings.states;
  const Icon = look.icon;
  return (
    <span className={`${css.badge} ${css[look.tone]} ${plain ? css.plain : ""}`}>
      <Icon size={13} stroke={2.2} {...(look.spin && css.spin ? { className: css.spin } : {})} />
      {label ?? words[value] ?? value.replaceAll("_", " ")}
    </span>
  );
}
