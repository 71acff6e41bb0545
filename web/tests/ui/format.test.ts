import { describe, expect, test } from "vitest";
import {
  formatAgo,
  formatBytes,
  formatNumber,
  formatSeconds,
  formatSpan,
  formatUnit,
} from "../../src/ui/format";

describe("numbers", () => {
  test.each([
    [0, "0"],
    [0.1234, "0.123"],
    [0.00001, "1.0e-5"],
    [4.5, "4.5"],
    [100, "100"],
    [1234, "1,234"],
    [45_600, "45.6k"],
    [-2_500_000, "-2.5M"],
    [Number.NaN, "–"],
    [null, "–"],
  ])("%s reads %s", (value, text) => expect(formatNumber(value)).toBe(text));

  test("a round number keeps its zeros", () => {
    expect(formatNumber(20_000)).toBe("20k");
    expect(formatNumber(50)).toBe("50");
  });

  test("bytes go by 1024", () => {
    expect(formatBytes(512)).toBe("512 B");
    expect(formatBytes(1024 * 1024 * 58.6)).toBe("58.6 MiB");
  });
});

describe("units", () => {
  test("seconds take the unit people expect", () => {
    expect(formatUnit(0.118, "s")).toBe("118 ms");
    expect(formatUnit(1.234, "s")).toBe("1.23 s");
    expect(formatSeconds(0.00035)).toBe("350 µs");
    expect(formatSeconds(185)).toBe("3 min 5 s");
  });

  test("a UCUM annotation stands behind the number", () =>
    expect(formatUnit(3, "{connection}")).toBe("3 {connection}"));
  test("rates and missing values", () => {
    expect(formatUnit(18.4, "1/s")).toBe("18.4/s");
    expect(formatUnit(3, "{connection}/s")).toBe("3/s");
    expect(formatUnit(2048, "By/s")).toBe(`${formatUnit(2048, "By")}/s`);
    expect(formatUnit(null, "s")).toBe("–");
  });
});

describe("time", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");

  test.each([
    ["2026-01-01T11:59:58Z", "now"],
    ["2026-01-01T11:59:15Z", "45 s ago"],
    ["2026-01-01T11:01:00Z", "59 min ago"],
    ["2025-12-31T13:00:00Z", "23 h ago"],
    ["2025-12-30T11:00:00Z", "2 d ago"],
    ["2026-01-01T12:28:00Z", "in 28 min"],
  ])("%s is %s", (time, text) => expect(formatAgo(time, now)).toBe(text));

  test.each([
    [0, "0 s"],
    [59_400, "59 s"],
    [185_000, "3 min 5 s"],
    [3_600_000, "1 h"],
    [95_000_000, "1 d 2 h"],
    [-5, "0 s"],
  ])("%s ms last %s", (ms, text) => expect(formatSpan(ms)).toBe(text));
});
