/** What the server answered instead of a result: RFC 9457 problem details. */
export class ProblemError extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;

  constructor(status: number, title: string, detail: string) {
    super(detail || title);
    this.name = "ProblemError";
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

function textOf(body: unknown, key: string): string {
  if (typeof body !== "object" || body === null || !(key in body)) return "";
  const value: unknown = Reflect.get(body, key);
  return typeof value === "string" ? value : "";
}

/** The problem behind an answer that is not 2xx; any body is accepted, none is trusted. */
export function problemOf(status: number, statusText: string, body: unknown): ProblemError {
  return new ProblemError(
    status,
    textOf(body, "title") || statusText || `HTTP ${status}`,
    textOf(body, "detail"),
  );
}
