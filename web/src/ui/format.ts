/** Numbers, units and times as people read them. Pure: the same input gives the same text. */

const MISSING = "–";

const SI = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** Three significant digits without exponent: 0.00123, 4.57, 123, 45.6k. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const size = Math.abs(value);
  if (size >= 10_000) {
    for (const [limit, suffix] of SI) {
      if (size >= limit) return `${trim((value / limit).toPrecision(3))}${suffix}`;
    }
  }
  if (size >= 100) return Math.round(value).toLocaleString("en");
  if (size !== 0 && size < 0.0005) return value.toExponential(1);
  return trim(value.toPrecision(3));
}

function trim(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

export function formatCount(value: number): string {
  return value.toLocaleString("en");
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${formatNumber(value)} ${units[unit]}`;
}

/** A value with its UCUM unit, scaled where people expect it: seconds to ms, ratios to percent. */
export function formatUnit(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  if (unit === "s") return formatSeconds(value);
  if (unit === "ms") return formatSeconds(value / 1000);
  if (unit === "By") return formatBytes(value);
  if (unit === "1") return formatNumber(value);
  if (unit === "%") return `${formatNumber(value)} %`;
  if (unit === "1/s" || /^\{.*\}\/s$/.test(unit)) return `${formatNumber(value)}/s`;
  if (unit === "By/s") return `${formatBytes(value)}/s`;
  return unit === "" ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

/** A measured duration: 350 µs, 12.3 ms, 1.24 s, 3 min 5 s. */
export function formatSeconds(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 0.001) return `${formatNumber(seconds * 1e6)} µs`;
  if (size < 1) return `${formatNumber(seconds * 1e3)} ms`;
  if (size < 60) return `${formatNumber(seconds)} s`;
  return formatSpan(seconds * 1000);
}

/** A span of time in its two greatest parts: 45 s, 3 min 5 s, 2 h 10 min, 4 d 3 h. */
export function formatSpan(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const days = Math.floor(total / 86_400);
  const hours = Math.floor((total % 86_400) / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = total % 60;
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes > 0) return seconds > 0 && minutes < 10 ? `${minutes} min ${seconds} s` : `${minutes} min`;
  return `${seconds} s`;
}

/** How long ago: now, 12 s ago, 5 min ago, 3 h ago, 2 d ago; `in 5 min` for the future. */
export function formatAgo(time: string, now: number): string {
  const ms = now - Date.parse(time);
  const size = Math.abs(ms);
  if (size < 3000) return "now";
  const [count, unit] =
    size < 60_000
      ? [size / 1000, "s"]
      : size < 3_600_000
        ? [size / 60_000, "min"]
        : size < 86_400_000
          ? [size / 3_600_000, "h"]
          : [size / 86_400_000, "d"];
  const text = `${Math.floor(count)} ${unit}`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Local wall clock, 14:03:22. */
export function formatClock(time: string): string {
  return CLOCK.format(new Date(time));
}

/** Local day and wall clock, 21 Nov 14:03:22. */
export function formatMoment(time: string): string {
  const date = new Date(time);
  return `${DAY.format(date)} ${CLOCK.format(date)}`;
}

export function formatPercent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** The first digits of a hash or id, enough to compare by eye. */
export function shortHash(hash: string): string {
  return hash.slice(0, 12);
}
