import { useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Points } from "../../api/types";
import { strings } from "../../strings";
import { formatClock, formatUnit } from "../format";
import css from "./Chart.module.css";
import { chartColumns, type Mark, readingAt } from "./data";
import { chartOptions } from "./options";

interface SeriesChartProps {
  points: Points;
  marks?: readonly Mark[];
  height?: number;
}

const NO_MARKS: readonly Mark[] = [];

/** One series with its expected band, a strip that shows when a finding was open, and marks for changes. */
export default function SeriesChart({ points, marks = NO_MARKS, height = 168 }: SeriesChartProps) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  const [index, setIndex] = useState<number | null>(null);
  const reading = readingAt(points, index);
  const { metric, unit, labels } = points.series;
  const text = (value: number | null) => formatUnit(value, unit);
  const band =
    reading.low === null || reading.high === null
      ? ""
      : strings.chart.expected(text(reading.low), text(reading.high));
  return (
    <figure className={css.figure} aria-label={strings.chart.label(metric, text(reading.value), band)}>
      <figcaption className={css.caption}>
        <span className={css.metric}>{metric}</span>
        <span>{Object.values(labels).join(" · ")}</span>
        <span className={css.reading}>
          {reading.time === null ? null : `${formatClock(new Date(reading.time).toISOString())} `}
          <span className={css.value}>{text(reading.value)}</span> {band}
        </span>
      </figcaption>
      <div ref={ref} className={css.canvas} style={{ height }}>
        {width > 0 ? (
          <Plot points={points} marks={marks} width={width} height={height} onCursor={setIndex} />
        ) : null}
      </div>
      <div className={css.legend}>
        {points.band.low ? <Key color="var(--band)" text={strings.chart.band} /> : null}
        {points.findings.length > 0 ? (
          <Key color="var(--critical-line)" text={strings.chart.anomaly} />
        ) : null}
      </div>
    </figure>
  );
}

function Key({ color, text }: { color: string; text: string }) {
  return (
    <span className={css.key}>
      <span className={css.swatch} style={{ background: color }} />
      {text}
    </span>
  );
}

interface PlotProps {
  points: Points;
  marks: readonly Mark[];
  width: number;
  height: number;
  onCursor: (index: number | null) => void;
}

function Plot({ points, marks, width, height, onCursor }: PlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  // uPlot draws on a canvas of its own: it lives and dies with these inputs, the scheme among them (colours).
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme is an input of the tokens that chartOptions reads
  useEffect(() => {
    if (!host.current) return;
    const plot = new uPlot(
      chartOptions({ width, height, points, marks, onCursor }),
      chartColumns(points),
      host.current,
    );
    return () => plot.destroy();
  }, [points, marks, width, height, onCursor, scheme]);
  return <div ref={host} />;
}
