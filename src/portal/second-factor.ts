/** One sets up a second factor: a QR code, a first code, ten recovery codes; or removes it with a code. */
import type { Hono } from "hono";
import { html, raw } from "hono/html";
import type { Brand } from "../branding/brand.ts";
import { setCookie } from "../people/cookie.ts";
import {
  confirmEnrolment,
  type Enrolment,
  openEnrolment,
  removeSecondFactor,
  startEnrolment,
  takeCode,
} from "../people/second-factor.ts";
import { ABSOLUTE_MS, rotateSession, type Session } from "../people/sessions.ts";
import { Fault, invalid } from "../platform/errors.ts";
import type { PortalDeps } from "./deps.ts";
import { errorOf } from "./faults.ts";
import { answerPage, fieldsOf, type Html, hidden, type Wrong } from "./page.ts";
import { type Env, sessionOf, type Visit } from "./visit.ts";
import { sessionBrand, withSession } from "./with-session.ts";

const PATH = "/account/second-factor";
const TITLE = "Second factor";

export function mountSecondFactor(app: Hono<Env>, deps: PortalDeps): void {
  const { db, keyring, clock } = deps;
  app.get(PATH, async (c) => {
    c.set("route", PATH);
    const session = await sessionOf(c, deps);
    return session?.person == null ? c.redirect("/login", 303) : answer(c, deps, session);
  });
  app.post(PATH, (c) =>
    withSession(c, deps, PATH, async (session) => {
      const person = personOf(session);
      await startEnrolment(db, person, (await sessionBrand(deps, session)).productName, keyring);
      return c.redirect(PATH, 303);
    }),
  );
  app.post(`${PATH}/confirm`, (c) =>
    withSession(c, deps, `${PATH}/confirm`, async (session, form) => {
      try {
        const codes = await confirmEnrolment(db, personOf(session).id, form.code ?? "", keyring, clock);
        c.header("Set-Cookie", setCookie(await rotateSession(db, session.id, keyring), ABSOLUTE_MS));
        const content = codesSection(codes);
        return answerPage(c, { title: "Recovery codes", brand: await sessionBrand(deps, session), session, content });
      } catch (error) {
        return answer(c, deps, session, errorOf(error));
      }
    }),
  );
  app.post(`${PATH}/remove`, (c) =>
    withSession(c, deps, `${PATH}/remove`, async (session, form) => {
      try {
        const { id } = personOf(session);
        if (!(await takeCode(db, id, form.code ?? "", keyring, clock)))
          throw invalid("/code", "This code is not right.");
        await removeSecondFactor(db, id);
        return c.redirect("/account", 303);
      } catch (error) {
        return answer(c, deps, session, errorOf(error));
      }
    }),
  );
}

function personOf({ person }: Session): NonNullable<Session["person"]> {
  if (person === null) throw new Fault("forbidden", "Whoever acts for an account does not change its people's log-in.");
  return person;
}

async function answer(c: Visit, deps: PortalDeps, session: Session, wrong: Wrong = {}) {
  const brand = await sessionBrand(deps, session);
  const { csrf } = session;
  const person = personOf(session);
  const enrolment = await openEnrolment(deps.db, person, brand.productName, deps.keyring);
  const content = person.secondFactor
    ? removal(csrf, wrong)
    : enrolment === undefined
      ? start(session, brand)
      : confirmation(enrolment, csrf, wrong);
  return answerPage(c, { title: TITLE, brand, session, content, ...wrong });
}

function start({ csrf, must }: Session, { productName }: Brand): Html {
  return html`${must === null ? "" : html`<p>This account asks for a second factor from everybody: set one up to go on.</p>`}
<p>With a second factor a stolen password alone opens nothing at ${productName}. You need an authenticator: a program on your
phone that shows a new code every 30 seconds.</p>
<form method="post" action="${PATH}">${hidden("csrf", csrf)}<p><button>Set it up</button></p></form>`;
}

function confirmation({ secret, svg }: Enrolment, csrf: string, wrong: Wrong): Html {
  const field = fieldsOf(wrong);
  const hint = "The six digits that it shows now.";
  return html`<p>Scan this with your authenticator, or type in the secret:</p>
<div class="qr">${raw(svg)}</div>
<p><code>${secret.match(/.{1,4}/g)?.join(" ")}</code></p>
<form method="post" action="${PATH}/confirm">
${hidden("csrf", csrf)}
${field({ name: "code", label: "Code", hint, autocomplete: "one-time-code", numeric: true, focus: true })}
<p><button>Confirm</button></p>
</form>`;
}

function codesSection(codes: readonly string[]): Html {
  return html`<p>The second factor is set up. These codes open your account once each when you don't have your authenticator.
Print them, or keep them where you keep passwords: they are not shown again.</p>
<pre>${codes.join("\n")}</pre>
<p><a href="/account">I have kept them</a></p>`;
}

function removal(csrf: string, wrong: Wrong): Html {
  const field = fieldsOf(wrong);
  const hint = "Of your authenticator, or a recovery code.";
  return html`<p>A second factor is set up.</p>
<form method="post" action="${PATH}/remove">
${hidden("csrf", csrf)}
${field({ name: "code", label: "Code", hint, autocomplete: "one-time-code", focus: true })}
<p><button class="plain">Remove it</button></p>
</form>`;
}
