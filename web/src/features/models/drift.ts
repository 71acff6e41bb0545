/** Drift as the population stability index; the usual reading: under 0.1 stable, from 0.25 shifted. */

export const DRIFT_LIMIT = 0.25;
const FULL_BAR = 0.5;

/** Share of a bar that a drift value fills, and where its limit stands. */
export function driftBar(value: number): { share: number; limit: number } {
  return { share: value / FULL_BAR, limit: DRIFT_LIMIT / FULL_BAR };
}

/** The reading that drifts most, or none. */
export function worstDrift<Reading extends { value: number }>(
  readings: readonly Reading[],
): Reading | undefined {
  return readings.reduce<Reading | undefined>(
    (worst, reading) => (worst === undefined || reading.value > worst.value ? reading : worst),
    undefined,
  );
}
