/** Who is logged in: his places, where else he is logged in, and what he does to his own log-in. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { setCookie } from "../people/cookie.ts";
import { switchPlace } from "../people/log-in.ts";
import { type Place, placesOf } from "../people/person.ts";
import {
  ABSOLUTE_MS,
  endSession,
  endSessions,
  listSessions,
  type Session,
  type SessionRow,
} from "../people/sessions.ts";
import { Fault } from "../platform/errors.ts";
import { formatAccount, formatId, parseId } from "../platform/ids.ts";
import type { PortalDeps } from "./deps.ts";
import { answerPage, type Html, hidden, shownInstant } from "./page.ts";
import { mountPassword } from "./password.ts";
import { mountSecondFactor } from "./second-factor.ts";
import { clientOf, type Env, sessionOf } from "./visit.ts";
import { sessionBrand, withSession } from "./with-session.ts";

export function mountAccount(app: Hono<Env>, deps: PortalDeps): void {
  const { db, clock } = deps;
  app.get("/", (c) => c.redirect("/account", 303));
  app.get("/account", async (c) => {
    c.set("route", "/account");
    const session = await sessionOf(c, deps);
    if (session === undefined) return c.redirect("/login", 303);
    if (session.must === "change-password") return c.redirect("/account/password", 303);
    if (session.must === "set-up-second-factor") return c.redirect("/account/second-factor", 303);
    const places = session.person === null ? [] : await placesOf(db, session.person.id);
    const sessions = session.person === null ? [] : await listSessions(db, session.person.id, clock);
    const content = html`${whoSection(session)}${placesSection(session, places)}${logInSection(session, sessions)}`;
    return answerPage(c, { title: "Your account", brand: await sessionBrand(deps, session), session, content });
  });
  app.post("/account/switch", (c) =>
    withSession(c, deps, "/account/switch", async (session, form) => {
      const memberId = parseId("mem", form.member_id ?? "");
      const { person } = session;
      const token =
        person === null || memberId === undefined
          ? undefined
          : await switchPlace(deps, person.id, memberId, clientOf(c, deps));
      if (token === undefined) throw new Fault("not-found", "There is no such place of yours.");
      await endSession(db, session.id, clock);
      c.header("Set-Cookie", setCookie(token, ABSOLUTE_MS));
      return c.redirect("/account", 303);
    }),
  );
  app.post("/account/log-out-elsewhere", (c) =>
    withSession(c, deps, "/account/log-out-elsewhere", async (session) => {
      if (session.person !== null) await endSessions(db, { personId: session.person.id, but: session.id }, clock);
      return c.redirect("/account", 303);
    }),
  );
  mountPassword(app, deps);
  mountSecondFactor(app, deps);
}

function whoSection({ person, role, acting, state }: Session): Html {
  if (acting !== null)
    return html`<p>The account is <strong>${state ?? "active"}</strong>. What can be done here by hand is done through the API as yet.</p>`;
  return html`<p>You are <strong>${person?.name ?? person?.email}</strong> (${person?.email}), ${role}.</p>
${state === "closed" || state === "archived" ? html`<p>The account is closed. <a href="/renew">Renew it</a></p>` : ""}`;
}

function placesSection({ memberId, csrf }: Session, places: readonly Place[]): Html {
  if (places.length < 2) return html``;
  const rows = places.map(
    (place) => html`<li><span>${nameOf(place)}, ${place.role}</span>
${place.memberId === memberId ? html`<strong>here</strong>` : html`<form method="post" action="/account/switch">${hidden("csrf", csrf)}${hidden("member_id", formatId("mem", place.memberId))}<button class="plain">Go there</button></form>`}</li>`,
  );
  return html`<h2>Your places</h2><ul class="rows">${rows}</ul>`;
}

function nameOf({ masterId, subaccountId }: Place): string {
  return masterId === null ? "Operator" : formatAccount({ masterId, subaccountId });
}

function logInSection(session: Session, sessions: readonly SessionRow[]): Html {
  const { person, csrf } = session;
  if (person === null) return html``;
  const rows = sessions.map(
    (row) =>
      html`<li><span>${row.network ?? ""} ${row.user_agent ?? ""}<br><span class="hint">since ${shownInstant(row.created_at)}</span></span>${row.id === session.id ? html`<strong>here</strong>` : ""}</li>`,
  );
  const elsewhere =
    rows.length < 2
      ? ""
      : html`<form method="post" action="/account/log-out-elsewhere">${hidden("csrf", csrf)}<button class="plain">Log out everywhere else</button></form>`;
  return html`<h2>Your log-in</h2>
<ul>
<li><a href="/account/password">Change the password</a></li>
<li><a href="/account/second-factor">${person.secondFactor ? "Second factor: set up" : "Set up a second factor"}</a></li>
</ul>
<h2>Where you are logged in</h2>
<ul class="rows">${rows}</ul>
${elsewhere}
<form method="post" action="/logout">${hidden("csrf", csrf)}<p><button>Log out</button></p></form>`;
}
