/**
 * The cookie of a session (RFC 6265bis): `__Host-`, so it is this host's alone, goes over TLS only (or to this machine), and no
 * script reads it.
 */
export const COOKIE = "__Host-postmeter";

/** Undefined: there is none, or several that say different things. */
export function readCookie(header: string | undefined): string | undefined {
  const values = (header ?? "")
    .split(";")
    .map((pair) => pair.trim().split("="))
    .filter(([name]) => name === COOKIE)
    .map(([, value]) => value);
  return new Set(values).size === 1 ? values[0] : undefined;
}

/** `Set-Cookie` for a session that starts. */
export function setCookie(token: string, maxAgeMs: number): string {
  return `${COOKIE}=${token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${Math.floor(maxAgeMs / 1000)}`;
}

export const CLEAR_COOKIE = `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;

type HeaderOf = (name: string) => string | undefined;

/**
 * Whether a request comes from a page of this host, or from a program that is no browser: browsers say where a request that
 * changes something comes from (Origin, Sec-Fetch-Site).
 */
export function fromOwnPage(header: HeaderOf): boolean {
  const site = header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const origin = header("origin");
  if (origin === undefined) return true;
  try {
    return new URL(origin).host === header("host")?.toLowerCase();
  } catch {
    return false;
  }
}
