/** Links come from outside: only web addresses are followed. */
export function safeLink(link: string | undefined): string | null {
  if (!link || !URL.canParse(link)) return null;
  return ["https:", "http:"].includes(new URL(link).protocol) ? link : null;
}
