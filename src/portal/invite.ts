/** The page of an invitation: name and password, or the password that one has. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { type Brand, brandOf } from "../branding/brand.ts";
import { acceptInvitation, readInvitation } from "../people/invitations.ts";
import type { Place } from "../people/person.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import { answerFault, errorOf } from "./faults.ts";
import { answerPage, fieldsOf, newPassword, type Page, type Wrong } from "./page.ts";
import { type Env, readForm, requireOwnPage } from "./visit.ts";

const TITLE = "Accept your invitation";

export function mountInvite(app: Hono<Env>, deps: PortalDeps): void {
  const { db, keyring, clock } = deps;
  app.get("/invite/:token", async (c) => {
    c.set("route", "/invite/{token}");
    try {
      const invited = await readInvitation(db, c.req.param("token"), keyring, clock);
      return answerPage(c, invitePage(await brandFor(deps, invited), invited));
    } catch (error) {
      return answerFault(c, deps, TITLE, error);
    }
  });
  app.post("/invite/:token", async (c) => {
    c.set("route", "/invite/{token}");
    let pageAgain: ((wrong: Wrong) => Page) | undefined;
    try {
      requireOwnPage(c);
      const token = c.req.param("token");
      const invited = await readInvitation(db, token, keyring, clock);
      const { name, password = "" } = await readForm(c);
      const brand = await brandFor(deps, invited);
      pageAgain = (wrong) => invitePage(brand, invited, name, wrong);
      await acceptInvitation(db, token, { name, password }, deps);
      return c.redirect("/login", 303);
    } catch (error) {
      const wrong = errorOf(error);
      if (pageAgain === undefined || wrong.status === 410) return answerFault(c, deps, TITLE, error);
      return answerPage(c, pageAgain(wrong));
    }
  });
}

function brandFor(deps: PortalDeps, place: Place): Promise<Brand> {
  return brandOf(deps.db, place, lettersOf(deps).config);
}

function invitePage(brand: Brand, { email, hasPassword, name }: Place, given = name ?? "", wrong: Wrong = {}): Page {
  const field = fieldsOf(wrong);
  const fields = hasPassword
    ? field({
        name: "password",
        label: "The password that you have here",
        type: "password",
        autocomplete: "current-password",
        focus: true,
      })
    : html`${field({ name: "name", label: "Your name", value: given, autocomplete: "name", focus: true })}
${field(newPassword("Password"))}`;
  const content = html`<p>You are invited as <strong>${email}</strong>.</p>
<form method="post">
<input type="hidden" name="email" autocomplete="username" value="${email}">
${fields}
<p><button>Accept</button></p>
</form>`;
  return { title: TITLE, brand, content, ...wrong };
}
