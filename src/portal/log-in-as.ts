/** The page to which "log in as" leads: it asks before it goes on, so that nothing but a person uses the link up. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { setCookie } from "../people/cookie.ts";
import { enterLogInAs, readLogInAs } from "../people/log-in-as.ts";
import { ACTING_MS } from "../people/sessions.ts";
import type { PortalDeps } from "./deps.ts";
import { answerFault } from "./faults.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage } from "./page.ts";
import { clientOf, type Env, requireOwnPage } from "./visit.ts";

const TITLE = "Act for an account";

export function mountLogInAs(app: Hono<Env>, deps: PortalDeps): void {
  const { db, keyring, clock } = deps;
  app.get("/login-as/:token", async (c) => {
    c.set("route", "/login-as/{token}");
    try {
      const { reason, read_only: readOnly } = await readLogInAs(db, c.req.param("token"), keyring, clock);
      const content = html`<p>You go on ${readOnly ? "and may look at everything, and change nothing" : "with all rights"},
for 15 minutes. Both sides find in their logs that you were there, and why:</p>
<blockquote>${reason}</blockquote>
<form method="post"><p><button autofocus>Go on</button></p></form>`;
      const brand = await hostBrand(c, deps);
      return answerPage(c, { title: TITLE, brand, content });
    } catch (error) {
      return answerFault(c, deps, TITLE, error);
    }
  });
  app.post("/login-as/:token", async (c) => {
    c.set("route", "/login-as/{token}");
    try {
      requireOwnPage(c);
      const session = await enterLogInAs(db, c.req.param("token"), clientOf(c, deps), keyring, clock);
      c.header("Set-Cookie", setCookie(session, ACTING_MS));
      return c.redirect("/account", 303);
    } catch (error) {
      return answerFault(c, deps, TITLE, error);
    }
  });
}
