import { expect, test } from "vitest";
import { findings } from "../../src/mock/incidents";
import { pointsOf, sidOf } from "../../src/mock/series";
import { anomalyWindows, chartColumns, readingAt } from "../../src/ui/chart/data";

const now = Date.parse("2026-01-01T12:00:00Z");
const points = pointsOf(sidOf("paymentP95"), "2026-01-01T11:30:00Z", "2026-01-01T12:00:00Z", [], now);
const finding = (onset: string, seen: string) =>
  ({ ...findings[0], onset, seen }) as (typeof findings)[number];

test("the columns of a chart are of one length and in seconds", () => {
  const columns = chartColumns(points);
  expect(new Set(columns.map((column) => column.length)).size).toBe(1);
  expect(columns[0][0]).toBe(Date.parse("2026-01-01T11:30:00Z") / 1000);
});

test("a series without a band draws a line alone", () => {
  const [, high, low, mean] = chartColumns({ ...points, band: { low: null, high: null } });
  expect([...(high ?? [])].every((value) => value === null)).toBe(true);
  expect([...(low ?? [])].every((value) => value === null)).toBe(true);
  expect(mean).toBe(points.mean);
});

test("findings that overlap are one window, cut to the chart", () => {
  const start = Date.parse("2026-01-01T11:30:00Z") / 1000;
  const windows = anomalyWindows(
    [
      finding("2026-01-01T11:40:00Z", "2026-01-01T11:45:00Z"),
      finding("2026-01-01T11:44:00Z", "2026-01-01T11:50:00Z"),
      finding("2026-01-01T10:00:00Z", "2026-01-01T11:31:00Z"),
      finding("2026-01-01T09:00:00Z", "2026-01-01T09:30:00Z"),
    ],
    start,
    start + 1800,
  );
  expect(windows).toEqual([
    [start, start + 60],
    [start + 600, start + 1200],
  ]);
});

test("without a cursor the newest sample is read", () => {
  expect(readingAt({ ...points, mean: [...points.mean.slice(0, -1), null] }, null).value).toBe(
    points.mean.at(-2),
  );
});
