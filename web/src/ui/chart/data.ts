/** What a chart needs of the API's points, as aligned arrays. Pure. */
import type uPlot from "uplot";
import type { Finding, Points } from "../../api/types";

export interface Mark {
  time: string;
  text: string;
}

/** Columns of one chart: seconds, band high, band low, mean. uPlot fills between the two band series. */
export function chartColumns(points: Points): uPlot.AlignedData {
  const seconds = points.time_ms.map((ms) => ms / 1000);
  const empty = points.time_ms.map(() => null);
  return [seconds, points.band.high ?? empty, points.band.low ?? empty, points.mean];
}

/** Windows in which a finding was open, in seconds, cut to the chart's own window and merged where they touch. */
export function anomalyWindows(findings: readonly Finding[], start: number, end: number): [number, number][] {
  const windows = findings
    .map((finding): [number, number] => [
      Math.max(start, Date.parse(finding.onset) / 1000),
      Math.min(end, Date.parse(finding.seen) / 1000),
    ])
    .filter(([from, to]) => from <= to)
    .sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of windows) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** The value under the cursor or the newest one, with its band. */
export function readingAt(points: Points, index: number | null) {
  const at = index ?? lastIndex(points.mean);
  return {
    time: points.time_ms[at] ?? null,
    value: points.mean[at] ?? null,
    low: points.band.low?.[at] ?? null,
    high: points.band.high?.[at] ?? null,
  };
}

function lastIndex(values: readonly (number | null)[]): number {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    if (values[index] !== null) return index;
  }
  return 0;
}
