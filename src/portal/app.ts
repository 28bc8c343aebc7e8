/**
 * The pages that people need before there is a portal: log in, accept an invitation, set a password, act for an account,
 * raise a limit, renew. Rendered here, without scripts; they call the rooms' functions as the API does.
 *
 * Invariant: a GET changes nothing, so that a mail scanner that opens links uses none up. What changes something comes from a
 * form of this host (Origin, Sec-Fetch-Site) and, with a session, carries its token. Redirects lead to paths of ours.
 * On failure: a page that says what is wrong and what to do, or for a program the same as a problem document.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { networks } from "../platform/client-address.ts";
import { mountAccount } from "./account.ts";
import type { PortalOptions } from "./deps.ts";
import { mountInvite } from "./invite.ts";
import { mountLogIn } from "./log-in.ts";
import { mountLogInAs } from "./log-in-as.ts";
import { mountRaise } from "./raise.ts";
import { mountRenew } from "./renew.ts";
import { mountReset } from "./reset.ts";
import { mountTransfer } from "./transfer.ts";
import { answerUnknown } from "./unknown.ts";
import type { Env, Visit } from "./visit.ts";

export type Portal = Readonly<{
  app: Hono<Env>;
  /** For a browser that asks for a path where there is nothing, here or elsewhere. */
  answerUnknown(c: Visit, status: 404 | 405): Promise<Response>;
}>;

export function createPortal(options: PortalOptions): Portal {
  const deps = { ...options, trusted: networks(options.config.trustedProxies) };
  const app = new Hono<Env>();
  mountStyle(app);
  mountLogIn(app, deps);
  mountInvite(app, deps);
  mountReset(app, deps);
  mountLogInAs(app, deps);
  mountRaise(app, deps);
  mountAccount(app, deps);
  mountRenew(app, deps);
  mountTransfer(app, deps);
  return { app, answerUnknown: (c, status) => answerUnknown(c, deps, status) };
}

function mountStyle(app: Hono<Env>): void {
  const css = readFileSync(join(import.meta.dirname, "portal.css"), "utf8");
  app.get("/portal.css", (c) => {
    c.set("route", "/portal.css");
    return c.body(css, 200, { "Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache" });
  });
}
