/** Forgotten passwords: ask for a link, and set a new one by it. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { type Brand, brandOf } from "../branding/brand.ts";
import type { Place } from "../people/person.ts";
import { completeReset, readReset, requestReset } from "../people/reset.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import { answerFault, errorOf } from "./faults.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage, fieldsOf, newPassword, type Page, type Wrong } from "./page.ts";
import { type Env, readForm } from "./visit.ts";

const ASK = "Forgotten password";
const SET = "Set a new password";

export function mountReset(app: Hono<Env>, deps: PortalDeps): void {
  mountAsking(app, deps);
  const { db, keyring, clock } = deps;
  app.get("/reset/:token", async (c) => {
    c.set("route", "/reset/{token}");
    try {
      const place = await readReset(db, c.req.param("token"), keyring, clock);
      return answerPage(c, setPage(await brandFor(deps, place), place));
    } catch (error) {
      return answerFault(c, deps, SET, error, askAgain);
    }
  });
  app.post("/reset/:token", async (c) => {
    c.set("route", "/reset/{token}");
    try {
      const { password = "" } = await readForm(c);
      await completeReset(db, c.req.param("token"), password, { ...lettersOf(deps), passwords: deps.passwords });
      return c.redirect("/login", 303);
    } catch (error) {
      const wrong = errorOf(error);
      if (wrong.status !== 422) return answerFault(c, deps, SET, error, askAgain);
      const place = await readReset(db, c.req.param("token"), keyring, clock);
      return answerPage(c, setPage(await brandFor(deps, place), place, wrong));
    }
  });
}

const askAgain = html`<p><a href="/reset">Ask for a new link</a></p>`;

function mountAsking(app: Hono<Env>, deps: PortalDeps): void {
  app.get("/reset", async (c) => {
    c.set("route", "/reset");
    const content = html`<p>We send a link to your address, by which you choose a new one.</p>
<form method="post" action="/reset">
${fieldsOf()({ name: "email", label: "E-mail address", type: "email", autocomplete: "username", focus: true })}
<p><button>Send the link</button></p>
</form>`;
    return answerPage(c, { title: ASK, brand: await hostBrand(c, deps), content });
  });
  app.post("/reset", async (c) => {
    c.set("route", "/reset");
    try {
      const { email = "" } = await readForm(c);
      await requestReset(deps.db, email.trim());
      const content = html`<p>If somebody has an account here with this address, a link is on its way to it. It works once,
for 60 minutes.</p>
<p><a href="/login">Log in</a></p>`;
      return answerPage(c, { title: ASK, brand: await hostBrand(c, deps), content });
    } catch (error) {
      return answerFault(c, deps, ASK, error);
    }
  });
}

function brandFor(deps: PortalDeps, place: Place | undefined): Promise<Brand> {
  const nobody = { masterId: null, subaccountId: null };
  return brandOf(deps.db, place ?? nobody, lettersOf(deps).config);
}

function setPage(brand: Brand, place: Place | undefined, wrong: Wrong = {}): Page {
  const field = fieldsOf(wrong);
  const content = html`<p>Where you are logged in, you will have to log in again.</p>
<form method="post">
${place === undefined ? "" : html`<input type="hidden" name="email" autocomplete="username" value="${place.email}">`}
${field({ ...newPassword("New password"), focus: true })}
<p><button>Set the password</button></p>
</form>`;
  return { title: SET, brand, content, ...wrong };
}
