/** One moment from which all mock times are counted, so that the data stay consistent. */
export const NOW = Date.now();

/** RFC 3339 time so many minutes before now. */
export function minutesAgo(minutes: number): string {
  return new Date(NOW - minutes * 60_000).toISOString();
}

/** Repeatable noise in -1..1. */
export function noise(seed: number): number {
  const wave = Math.sin(seed * 12.9898) * 43_758.5453;
  return (wave - Math.floor(wave)) * 2 - 1;
}

/** A hexadecimal text that is the same for the same seed. */
export function hex(seed: string, digits: number): string {
  let state = 2_166_136_261;
  let text = "";
  for (let round = 0; text.length < digits; round += 1) {
    for (const letter of `${seed}${round}`) state = Math.imul(state ^ letter.charCodeAt(0), 16_777_619) >>> 0;
    text += state.toString(16).padStart(8, "0");
  }
  return text.slice(0, digits);
}
