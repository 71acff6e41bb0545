import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import type { ReactElement } from "react";
import { expect, test } from "vitest";
import { problemOf } from "../../src/api/request";
import { logs, trace } from "../../src/mock/telemetry";
import { strings } from "../../src/strings";
import { Badge } from "../../src/ui/Badge";
import { LogLines, severityWord } from "../../src/ui/LogLines";
import { Loading, Problem } from "../../src/ui/Notice";
import { ScoreBar } from "../../src/ui/ScoreBar";
import { Waterfall } from "../../src/ui/trace/Waterfall";
import { violations } from "../axe";

const show = (element: ReactElement) => render(<MantineProvider>{element}</MantineProvider>).container;

test.each(Object.entries(strings.states))("state %s has a word and an icon", (value, word) => {
  const shown = show(<Badge value={value} />);
  expect(shown.textContent).toContain(word);
  expect(shown.querySelector("svg")).not.toBeNull();
});

test("a state that nobody knows is shown as it is", () => {
  expect(show(<Badge value="half_done" />).textContent).toContain("half done");
});

test("a problem is told in the server's words", async () => {
  const shown = show(
    <Problem error={problemOf(409, "Conflict", { title: "Expired", detail: "It expired at 12:00." })} />,
  );
  expect(screen.getByRole("alert").textContent).toContain("It expired at 12:00.");
  expect(await violations(shown)).toEqual([]);
});

test("an answer that is no problem document still says its status", () => {
  expect(problemOf(502, "Bad Gateway", undefined).title).toBe("Bad Gateway");
  expect(problemOf(502, "", ["?"]).title).toBe("HTTP 502");
});

test("log text is never markup", async () => {
  const shown = show(<LogLines lines={logs} />);
  expect(shown.querySelector("b")).toBeNull();
  expect(shown.textContent).toContain("<b>not markup</b>");
  expect(await violations(shown)).toEqual([]);
});

test.each([
  [0, "LOG"],
  [1, "TRACE"],
  [9, "INFO"],
  [13, "WARN"],
  [17, "ERROR"],
  [24, "FATAL"],
])("severity number %s is %s", (severity, word) => expect(severityWord(severity)).toBe(word));

test("a failed span says so without colour", async () => {
  const shown = show(<Waterfall trace={trace} />);
  expect(shown.textContent).toContain("1.41 s in all. It waited for: payment");
  expect(shown.textContent).toContain(strings.trace.own("6 ms"));
  expect(screen.getAllByLabelText(strings.trace.failed)).toHaveLength(
    trace.spans.filter((span) => span.error).length,
  );
  expect(await violations(shown)).toEqual([]);
});

test("a score past the end of its bar stays inside", () => {
  const shown = show(<ScoreBar share={3} text="3" label="drift" />);
  expect(shown.innerHTML).toContain("width: 100%");
});

test("waiting is announced", async () => {
  const shown = show(<Loading />);
  expect(screen.getByRole("status")).toBeDefined();
  expect(await violations(shown)).toEqual([]);
});
