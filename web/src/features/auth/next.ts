/** Where to go after signing in: only a path of this site, never another address. */
export function safeNext(next: string | undefined): string {
  if (!next) return "/";
  const base = "http://twofold.invalid";
  const url = URL.canParse(next, base) ? new URL(next, base) : null;
  const ours = url?.origin === base && next.startsWith("/") && url.pathname !== "/login";
  return ours && url ? `${url.pathname}${url.search}${url.hash}` : "/";
}
