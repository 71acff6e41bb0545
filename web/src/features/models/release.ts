import type { ReleaseStage } from "../../api/types";

/** Share of traffic that a release asks for: all for live, none for a shadow, the stated percent for a canary. */
export function releaseWeight(stage: ReleaseStage, percent: string): number {
  if (stage === "live") return 1;
  if (stage !== "canary") return 0;
  return Math.min(99, Math.max(1, Number(percent) || 1)) / 100;
}
