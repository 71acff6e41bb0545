import { QueryClient } from "@tanstack/react-query";
import { afterEach, expect, test, vi } from "vitest";
import { follow, keysOf, liveness } from "../../src/app/stream";

class Source extends EventTarget {
  static last: Source;
  closed = false;

  constructor(readonly url: string) {
    super();
    Source.last = this;
  }

  close(): void {
    this.closed = true;
  }
}

afterEach(() => vi.useRealTimers());

test("a burst of changes renews each query once", () => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
  const client = new QueryClient();
  const renewed: unknown[] = [];
  client.invalidateQueries = async (filters) => void renewed.push(filters?.queryKey);
  const stop = follow(client);
  Source.last.dispatchEvent(new Event("open"));
  expect(liveness.get()).toBe(true);
  for (const table of ["executions", "timeline", "executions"]) {
    Source.last.dispatchEvent(
      new MessageEvent("change", { data: JSON.stringify({ seq: 1, table, id: "x" }) }),
    );
  }
  vi.advanceTimersByTime(300);
  expect(renewed).toEqual([["incident"]]);
  Source.last.dispatchEvent(new Event("error"));
  expect(liveness.get()).toBe(false);
  Source.last.dispatchEvent(new Event("open"));
  expect(renewed.at(-1)).toBeUndefined();
  stop();
  expect(Source.last.closed).toBe(true);
});

test("an unknown table renews everything rather than nothing", () =>
  expect(keysOf("new_table").length).toBeGreaterThan(5));
