import { useSyncExternalStore } from "react";
import { Muted } from "./Facts";
import { formatAgo, formatClock, formatMoment, formatSpan } from "./format";

const TICK_MS = 5000;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let current = Date.now();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    current = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The wall clock in ms, one timer for the whole page, renewed every five seconds. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => current);
}

/** How long ago, with the absolute time on hover and for machines. */
export function Ago({ time }: { time: string }) {
  const tick = useNow();
  const at = Date.parse(time);
  const newerThanTick = at > tick && at - tick < TICK_MS;
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {formatAgo(time, newerThanTick ? at : tick)}
    </time>
  );
}

/** The local wall clock; the day on hover. */
export function Clock({ time }: { time: string }) {
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {formatClock(time)}
    </time>
  );
}

/** Day and clock, with how long ago behind it. */
export function Moment({ time }: { time: string }) {
  return (
    <span>
      {formatMoment(time)}{" "}
      <Muted>
        · <Ago time={time} />
      </Muted>
    </span>
  );
}

/** Length between two times; to now when it still lasts. */
export function Span({ start, end }: { start: string; end: string | null }) {
  const now = useNow();
  return <span>{formatSpan((end === null ? now : Date.parse(end)) - Date.parse(start))}</span>;
}
