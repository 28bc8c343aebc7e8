/** A form of somebody who is logged in: his session, and the token that only a page of his has. */
import { html } from "hono/html";
import { type Brand, brandOf } from "../branding/brand.ts";
import type { Session } from "../people/sessions.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import { answerFault } from "./faults.ts";
import { type Form, readForm, requireToken, sessionOf, type Visit } from "./visit.ts";

export async function withSession(
  c: Visit,
  deps: PortalDeps,
  route: string,
  run: (session: Session, form: Form) => Promise<Response>,
): Promise<Response> {
  c.set("route", route);
  try {
    const form = await readForm(c);
    const session = await sessionOf(c, deps);
    if (session === undefined) return c.redirect("/login", 303);
    requireToken(form, session);
    return await run(session, form);
  } catch (error) {
    return answerFault(c, deps, "Your account", error, html`<p><a href="/account">Your account</a></p>`);
  }
}

export function sessionBrand(deps: PortalDeps, session: Session): Promise<Brand> {
  return brandOf(deps.db, session, lettersOf(deps).config);
}
