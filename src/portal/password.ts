/** One changes one's own password: the first thing after a temporary one. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { setCookie } from "../people/cookie.ts";
import { changePassword } from "../people/own-person.ts";
import { ABSOLUTE_MS, rotateSession, type Session } from "../people/sessions.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import { errorOf } from "./faults.ts";
import { answerPage, fieldsOf, hidden, newPassword, type Wrong } from "./page.ts";
import { type Env, sessionOf, type Visit } from "./visit.ts";
import { sessionBrand, withSession } from "./with-session.ts";

const PATH = "/account/password";

export function mountPassword(app: Hono<Env>, deps: PortalDeps): void {
  const { db, keyring, passwords } = deps;
  app.get(PATH, async (c) => {
    c.set("route", PATH);
    const session = await sessionOf(c, deps);
    return session?.person == null ? c.redirect("/login", 303) : answer(c, deps, session);
  });
  app.post(PATH, (c) =>
    withSession(c, deps, PATH, async (session, form) => {
      if (session.person === null) return c.redirect("/account", 303);
      const { current_password: current = "", password: next = "" } = form;
      const change = { current, next, session: session.id };
      try {
        await changePassword(db, session.person.id, change, { ...lettersOf(deps), passwords });
      } catch (error) {
        return answer(c, deps, session, errorOf(error));
      }
      c.header("Set-Cookie", setCookie(await rotateSession(db, session.id, keyring), ABSOLUTE_MS));
      return c.redirect("/account", 303);
    }),
  );
}

async function answer(c: Visit, deps: PortalDeps, session: Session, wrong: Wrong = {}) {
  const field = fieldsOf(wrong);
  const temporary = session.must === "change-password";
  const content = html`${temporary ? html`<p>Your password is temporary: choose one of your own.</p>` : ""}
<form method="post" action="${PATH}">
${hidden("csrf", session.csrf)}
<input type="hidden" name="email" autocomplete="username" value="${session.person?.email ?? ""}">
${field({ name: "current_password", label: temporary ? "Temporary password" : "Password", type: "password", autocomplete: "current-password", focus: true })}
${field(newPassword("New password"))}
<p><button>Change the password</button></p>
</form>`;
  return answerPage(c, {
    title: "Change the password",
    brand: await sessionBrand(deps, session),
    session,
    content,
    ...wrong,
  });
}
