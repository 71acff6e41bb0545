/** How a chart is drawn: band, line, anomaly strip, marks. Colours are read from the page's tokens. */
import uPlot from "uplot";
import type { Points } from "../../api/types";
import { formatClock, formatUnit } from "../format";
import { anomalyWindows, type Mark } from "./data";

const STRIP_PX = 5;

interface Look {
  width: number;
  height: number;
  points: Points;
  marks: readonly Mark[];
  onCursor: (index: number | null) => void;
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function chartOptions({ width, height, points, marks, onCursor }: Look): uPlot.Options {
  const axis = {
    stroke: token("--subtle"),
    grid: { stroke: token("--border"), width: 1 },
    ticks: { show: false },
    font: '11px "Inter Variable", system-ui, sans-serif',
  };
  const hidden = { stroke: "transparent", width: 0, points: { show: false } };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [8, 8, 0, 0],
    scales: { x: { time: true }, y: { range: padded } },
    axes: [
      { ...axis, size: 26, gap: 6, space: 64, values: (_, ticks) => ticks.map(clock) },
      {
        ...axis,
        size: 62,
        gap: 6,
        splits: niceSplits,
        values: (_, ticks) => ticks.map((tick) => formatUnit(tick, points.series.unit)),
      },
    ],
    series: [
      {},
      hidden,
      hidden,
      { stroke: token("--accent-line"), width: 1.75, points: { show: false }, spanGaps: false },
    ],
    bands: [{ series: [1, 2], fill: token("--band") }],
    hooks: {
      drawClear: [(plot) => drawWindows(plot, points)],
      draw: [(plot) => drawStrip(plot, points), (plot) => drawMarks(plot, marks)],
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
    },
  };
}

function clock(seconds: number): string {
  return formatClock(new Date(seconds * 1000).toISOString()).replace(/:00$/, "");
}

/** Four lines at most, whatever the height. */
function niceSplits(_plot: uPlot, _axis: number, min: number, max: number, increment: number): number[] {
  const step = increment * Math.max(1, Math.ceil((max - min) / increment / 5));
  const splits: number[] = [];
  for (let tick = Math.ceil(min / step) * step; tick <= max + step * 1e-9; tick += step) {
    splits.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  }
  return splits;
}

function padded(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  const room = (max - min || Math.abs(max) || 1) * 0.08;
  return [min >= 0 ? Math.max(0, min - room) : min - room, max + room];
}

function windowsInPixels(plot: uPlot, points: Points): [number, number][] {
  const { min, max } = plot.scales.x ?? {};
  if (min === undefined || max === undefined || min === null || max === null) return [];
  return anomalyWindows(points.findings, min, max).map(([from, to]) => {
    const left = plot.valToPos(from, "x", true);
    return [left, Math.max(3, plot.valToPos(to, "x", true) - left)];
  });
}

function drawWindows(plot: uPlot, points: Points): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = token("--critical-soft");
  for (const [left, width] of windowsInPixels(plot, points)) ctx.fillRect(left, bbox.top, width, bbox.height);
  ctx.restore();
}

function drawStrip(plot: uPlot, points: Points): void {
  const { ctx, bbox } = plot;
  const height = STRIP_PX * uPlot.pxRatio;
  ctx.save();
  ctx.fillStyle = token("--neutral-soft");
  ctx.fillRect(bbox.left, bbox.top + bbox.height - height, bbox.width, height);
  ctx.fillStyle = token("--critical-line");
  for (const [left, width] of windowsInPixels(plot, points)) {
    ctx.fillRect(left, bbox.top + bbox.height - height, width, height);
  }
  ctx.restore();
}

function drawMarks(plot: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = token("--muted");
  ctx.fillStyle = token("--muted");
  ctx.font = `${11 * uPlot.pxRatio}px "Inter Variable", system-ui, sans-serif`;
  ctx.setLineDash([3 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(Date.parse(mark.time) / 1000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const fitsRight = x + ctx.measureText(mark.text).width + 8 * uPlot.pxRatio < bbox.left + bbox.width;
    ctx.textAlign = fitsRight ? "left" : "right";
    ctx.fillText(mark.text, x + (fitsRight ? 4 : -4) * uPlot.pxRatio, bbox.top + 11 * uPlot.pxRatio);
  }
  ctx.restore();
}
