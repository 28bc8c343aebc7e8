/**
 * Logos, for everybody: they stand in mails and on pages before log-in, which may be of another origin.
 *
 * Invariant: what is served was checked as a picture of that type when it was stored, and a browser takes it for nothing
 * else. An id without a logo of its own, of whatever kind, is 404.
 */
import type { Hono } from "hono";
import { readLogo } from "../branding/find.ts";
import { parseId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import type { Env } from "./mount.ts";

/** Seconds that a browser, or the mail program's proxy, keeps it without asking. */
const MAX_AGE = 300;

export function mountLogos(app: Hono<Env>, { db }: Deps): void {
  app.get("/logo/:id", async (c) => {
    c.set("route", "/logo/{id}");
    const text = c.req.param("id");
    const id = parseId("mas", text) ?? parseId("sub", text);
    const logo = id === undefined ? undefined : await readLogo(db, id);
    if (logo === undefined) return c.notFound();
    const tag = `"${logo.hash}"`;
    const headers = {
      "Content-Type": logo.type,
      "Cache-Control": `public, max-age=${MAX_AGE}`,
      ETag: tag,
      "Cross-Origin-Resource-Policy": "cross-origin",
    };
    const known = (c.req.header("if-none-match") ?? "")
      .split(",")
      .some((one) => one.trim().replace(/^W\//, "") === tag);
    return known ? new Response(null, { status: 304, headers }) : new Response(new Uint8Array(logo.bytes), { headers });
  });
}
