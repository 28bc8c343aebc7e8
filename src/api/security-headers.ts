/** Headers of every answer. What a page needs beyond them it sets itself. */
import type { MiddlewareHandler } from "hono";

const RESOURCE_POLICY = "Cross-Origin-Resource-Policy";

const always = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  // Nothing to other hosts. With "no-referrer" browsers say `Origin: null` of our own forms, which are then taken for foreign ones.
  "Referrer-Policy": "same-origin",
  [RESOURCE_POLICY]: "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
} as const;

/** Of answers that are no page: a browser may do nothing with them. */
const NOTHING = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** Of our own pages: only our own files, and no inline script. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function setSecurityHeaders(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    const { headers } = c.res;
    const own = headers.get(RESOURCE_POLICY); // a picture for other origins says so itself
    for (const [name, value] of Object.entries(always)) headers.set(name, value);
    if (own !== null) headers.set(RESOURCE_POLICY, own);
    if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", NOTHING);
  };
}
