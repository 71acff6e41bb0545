import { describe, expect, test } from "vitest";
import { safeNext } from "../../src/features/auth/next";
import {
  argumentRows,
  argumentText,
  candidates,
  currentFirst,
  fittingFirst,
  isOver,
} from "../../src/features/incidents/executions";
import { moveFocus } from "../../src/features/incidents/keys";
import { ownVerdict } from "../../src/features/incidents/verdicts";
import { chartWindow, traceWindow } from "../../src/features/incidents/window";
import { byDrift, driftBar, worstDrift } from "../../src/features/models/drift";
import { releaseWeight } from "../../src/features/models/release";
import { diagnosis, executions, incidents, otherExecutions } from "../../src/mock/incidents";
import { runbooks } from "../../src/mock/runbooks";
import { safeLink } from "../../src/ui/link";

describe("after signing in", () => {
  test.each([
    [undefined, "/"],
    ["/incidents?state=open", "/incidents?state=open"],
    ["https://evil.example/", "/"],
    ["//evil.example/a", "/"],
    ["/\\evil.example", "/"],
    ["javascript:alert(1)", "/"],
    ["/login?next=/login", "/"],
  ])("%s leads to %s", (next, path) => expect(safeNext(next)).toBe(path));
});

describe("executions", () => {
  test("what waits for a person comes first, then the newest", () => {
    const order = currentFirst([...executions].reverse()).map((execution) => execution.state);
    expect(order).toEqual(["proposed", "failed", "rejected"]);
  });

  test("an unknown outcome is not over", () => {
    expect(
      otherExecutions
        .filter(isOver)
        .map((execution) => execution.state)
        .sort(),
    ).toEqual(["expired", "succeeded"]);
  });

  test("a rehearsal stands behind what was done", () => {
    const [done] = executions.filter((execution) => execution.state === "failed");
    if (!done) throw new Error("the mock has no failed execution");
    const rehearsal = { ...done, id: "later", dry_run: true, created: new Date().toISOString() };
    expect(currentFirst([rehearsal, done]).map(({ id }) => id)).toEqual([done.id, "later"]);
  });

  test("arguments are shown by step, not what they were filled from", () => {
    const [some] = executions;
    if (!some) throw new Error("the mock has no execution");
    const given = {
      values: { entity: "e" },
      steps: { stop: { entity: "e", force: true }, odd: 3 },
      note: "n",
    };
    expect(argumentRows({ ...some, arguments: given })).toEqual([
      ["note", "n"],
      ["stop · entity", "e"],
      ["stop · force", "true"],
      ["odd", "3"],
    ]);
    expect(argumentRows({ ...some, arguments: { pool: "orders" } })).toEqual([["pool", "orders"]]);
  });

  test("suspects may be acted on first, each once", () => {
    const [incident] = incidents;
    if (!incident) throw new Error("the mock has no incident");
    const found = candidates(diagnosis, incident);
    expect(found[0]).toBe(diagnosis.suspects[0]?.entity);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(incident.entities));
    expect(candidates(null, incident)).toEqual(incident.entities);
  });

  test("runbooks for the kind of what is acted on come first", () => {
    const first = (entity: string) => fittingFirst(runbooks, entity)[0]?.id;
    expect([first("model:fraud"), first("service:cart"), first("queue:orders")]).toEqual([
      "rollback-model",
      "restart-service",
      "restart-service",
    ]);
  });

  test("arguments of any shape become text", () => {
    expect([argumentText("a"), argumentText({ b: 1 }), argumentText(undefined)]).toEqual([
      "a",
      '{"b":1}',
      "",
    ]);
  });
});

test("the later verdict of an author counts", () => {
  const verdict = { id: "1", subject: "alert" as const, ref: "a", incident: "i", author: "ada", note: "" };
  const verdicts = [
    { ...verdict, value: "noise" as const, time: "2026-01-01T12:00:01Z" },
    { ...verdict, value: "right" as const, time: "2026-01-01T12:00:00Z" },
    { ...verdict, value: "wrong" as const, time: "2026-01-01T13:00:00Z", author: "grace" },
  ];
  expect(ownVerdict(verdicts, "alert", "a", "ada")).toBe("noise");
  expect(ownVerdict(verdicts, "alert", "b", "ada")).toBeUndefined();
});

describe("evidence", () => {
  test("a trace is looked for around the moment in which it was seen", () => {
    const piece = diagnosis.suspects
      .flatMap((suspect) => suspect.evidence)
      .find((each) => each.kind === "trace");
    if (!piece) throw new Error("the mock has no trace");
    const { start, end } = traceWindow(piece);
    expect(Date.parse(start)).toBeLessThan(Date.parse(piece.start));
    expect(Date.parse(end)).toBeGreaterThan(Date.parse(piece.end));
  });

  test("a chart begins in a calm stretch before the incident", () => {
    const [incident] = incidents;
    const piece = diagnosis.suspects[0]?.evidence[0];
    if (!incident || !piece) throw new Error("the mock has a diagnosed incident");
    const { start, end } = chartWindow(piece, incident);
    expect(Date.parse(incident.start) - Date.parse(start)).toBe(15 * 60_000);
    expect(Date.parse(end)).toBeGreaterThan(Date.parse(piece.end));
  });

  test.each([
    ["https://ci.example/run/1", "https://ci.example/run/1"],
    ["javascript:alert(1)", null],
    ["data:text/html,x", null],
    ["ci run 1", null],
    [undefined, null],
  ])("link %s is followed as %s", (link, followed) => expect(safeLink(link)).toBe(followed));
});

describe("drift", () => {
  const readings = [{ value: 0.1 }, { value: null }, { value: 0.4 }];

  test("most drift first, no value last", () => {
    expect(byDrift(readings).map((reading) => reading.value)).toEqual([0.4, 0.1, null]);
    expect(worstDrift(readings)?.value).toBe(0.4);
    expect(worstDrift([{ value: null }])).toBeUndefined();
  });

  test("the limit stands in the middle of the bar", () =>
    expect(driftBar(0.25)).toEqual({ share: 0.5, limit: 0.5 }));
});

test.each([
  ["live", "5", 1],
  ["shadow", "5", 0],
  ["canary", "10", 0.1],
  ["canary", "400", 0.99],
  ["canary", "nothing", 0.01],
] as const)("%s with %s percent takes %s", (stage, percent, weight) =>
  expect(releaseWeight(stage, percent)).toBe(weight),
);

test("j and k walk the rows and stop at the ends", () => {
  document.body.innerHTML = "<div id=list><a href=#1 data-row-link>1</a><a href=#2 data-row-link>2</a></div>";
  const list = document.getElementById("list");
  const focused = () => document.activeElement?.textContent;
  moveFocus(list, 1);
  expect(focused()).toBe("1");
  moveFocus(list, 1);
  moveFocus(list, 1);
  expect(focused()).toBe("2");
  moveFocus(list, -1);
  expect(focused()).toBe("1");
  document.body.innerHTML = "";
  moveFocus(null, 1);
});
