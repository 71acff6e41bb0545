import type { LogTemplate } from "../../api/types";
import { strings } from "../../strings";

const words = strings.templates;
const STEADY = 1.5;

/** The change of a rate within the hour in a word: new, silent, steady, or how many times as many. */
export function trendWord({ rate, change }: NonNullable<LogTemplate["trend"]>): string {
  if (change === null) return rate.some((value) => value > 0) ? words.isNew : words.silent;
  if (change === 0) return words.silent;
  return change < STEADY && change > 1 / STEADY ? words.steady : words.change(change);
}
