import type { Verdict, VerdictSubject, VerdictValue } from "../../api/types";

/** What this author said last about a subject; a later verdict replaces an earlier one. */
export function ownVerdict(
  verdicts: readonly Verdict[],
  subject: VerdictSubject,
  ref: string,
  author: string,
): VerdictValue | undefined {
  return verdicts
    .filter((verdict) => verdict.subject === subject && verdict.ref === ref && verdict.author === author)
    .sort((a, b) => Date.parse(b.time) - Date.parse(a.time))[0]?.value;
}
