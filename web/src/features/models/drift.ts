/** Drift as the population stability index; the usual reading: under 0.1 stable, from 0.25 shifted. */

export const DRIFT_LIMIT = 0.25;
const FULL_BAR = 0.5;

/** Share of a bar that a drift value fills, and where its limit stands. */
export function driftBar(value: number | null): { share: number; limit: number } {
  return { share: (value ?? 0) / FULL_BAR, limit: DRIFT_LIMIT / FULL_BAR };
}

/** Most drift first; what has no value yet stands last. */
export function byDrift<Reading extends { value: number | null }>(readings: readonly Reading[]): Reading[] {
  return [...readings].sort((a, b) => (b.value ?? -1) - (a.value ?? -1));
}

/** The reading that drifts most, or none. */
export function worstDrift<Reading extends { value: number | null }>(
  readings: readonly Reading[],
): Reading | undefined {
  return byDrift(readings).find((reading) => reading.value !== null);
}
