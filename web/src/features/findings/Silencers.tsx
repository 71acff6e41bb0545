import {
  IconArrowBarToUp,
  IconBroadcast,
  IconChartHistogram,
  IconClock,
  IconFlame,
  IconPlayerStop,
  IconRuler2,
  IconStairsUp,
} from "@tabler/icons-react";
import type { Silencer } from "../../api/types";
import { strings } from "../../strings";
import { Muted } from "../../ui/Facts";
import { Panel } from "../../ui/Panel";
import css from "./Finding.module.css";

const words = strings.finding;
const ICONS = {
  value: IconArrowBarToUp,
  duration: IconClock,
  budget: IconChartHistogram,
  floor: IconRuler2,
  end: IconPlayerStop,
  level: IconStairsUp,
  data: IconBroadcast,
  burn: IconFlame,
} as const;

/** What would have to be otherwise for silence, in numbers, and the setting that would do it. */
export function Silencers({ silencers, model }: { silencers: readonly Silencer[]; model: string }) {
  return (
    <Panel title={words.silence}>
      <ul className={css.silencers}>
        {silencers.map((each) => {
          const Icon = ICONS[each.kind];
          return (
            <li key={each.kind} className={css.silencer}>
              <Icon size={16} stroke={1.8} aria-hidden />
              <div>
                {each.text} {each.tried ? <Tried /> : null}
                {each.setting ? (
                  <div className={css.setting}>
                    <Muted>{words.tryIt}</Muted> <code>{command(model, each.setting)}</code>
                  </div>
                ) : null}
              </div>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

/** The command that makes a version with a setting; JSON is quoted for the shell. */
function command(model: string, setting: string): string {
  const quoted = /[^\w.=@/-]/.test(setting) ? `'${setting}'` : setting;
  return `twofold detectors new ${model} --set ${quoted}`;
}

function Tried() {
  return (
    <span className={css.tried} title={words.triedHint}>
      {words.tried}
    </span>
  );
}
