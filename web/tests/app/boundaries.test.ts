import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const SRC = resolve("src");

interface File {
  path: string;
  imports: string[];
}

function filesOf(folder: string): File[] {
  return readdirSync(join(SRC, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .map((name) => {
      const path = join(SRC, folder, name);
      const text = readFileSync(path, "utf8");
      const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
      return {
        path: relative(SRC, path),
        imports: imports.map((each) =>
          each.startsWith(".") ? relative(SRC, resolve(path, "..", each)) : each,
        ),
      };
    });
}

const offenders = (files: File[], banned: (target: string, file: File) => boolean) =>
  files.flatMap((file) =>
    file.imports.filter((target) => banned(target, file)).map((target) => `${file.path} -> ${target}`),
  );

describe("imports go one way", () => {
  const features = readdirSync(join(SRC, "features"));

  test("there is something to check", () => {
    expect(filesOf("ui").length).toBeGreaterThan(10);
    expect(features.length).toBeGreaterThan(4);
  });

  test("ui knows no router, no query and nothing above it", () => {
    const banned = /^(@tanstack\/|features\/|app\/|mock\/|api\/(calls|queries))/;
    expect(offenders(filesOf("ui"), (target) => banned.test(target))).toEqual([]);
  });

  test("features never import each other, the app or the mock", () => {
    const banned = (target: string, file: File) =>
      /^(app|mock)\//.test(target) ||
      (target.startsWith("features/") && target.split("/")[1] !== file.path.split("/")[1]);
    expect(offenders(filesOf("features"), banned)).toEqual([]);
  });

  test("api knows no screen", () => {
    expect(offenders(filesOf("api"), (target) => /^(ui|features|app|mock)\//.test(target))).toEqual([]);
  });

  test("only the start imports the mock, and lazily", () => {
    const start = readFileSync(join(SRC, "main.tsx"), "utf8");
    expect(start).toContain('await import("./mock/install")');
    expect(offenders(filesOf("app"), (target) => target.startsWith("mock/"))).toEqual([]);
  });
});
