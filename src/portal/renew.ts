/**
 * The one page that is left to the owner of a closed account: he asks to go on with an account of his own. The operator decides;
 * the master is not asked.
 */
import type { Hono } from "hono";
import { html } from "hono/html";
import type { SubaccountPrincipal } from "../accounts/principal.ts";
import { requestRenewal } from "../lifecycle/offer-transfer.ts";
import { listTransfers } from "../lifecycle/transfer.ts";
import { memberPrincipal } from "../people/person.ts";
import type { Session } from "../people/sessions.ts";
import type { PortalDeps } from "./deps.ts";
import { errorOf } from "./faults.ts";
import { answerPage, type Html, hidden, shownInstant, type Wrong } from "./page.ts";
import { type Env, sessionOf, type Visit } from "./visit.ts";
import { sessionBrand, withSession } from "./with-session.ts";

const PATH = "/renew";

export function mountRenew(app: Hono<Env>, deps: PortalDeps): void {
  app.get(PATH, async (c) => {
    c.set("route", PATH);
    const session = await sessionOf(c, deps);
    return session === undefined ? c.redirect(`/login?next=${PATH}`, 303) : answer(c, deps, session);
  });
  app.post(PATH, (c) =>
    withSession(c, deps, PATH, async (session) => {
      const owner = ownerOf(session);
      if (owner === undefined) return answer(c, deps, session);
      try {
        await requestRenewal(deps.db, owner, owner.subaccountId, deps.clock);
        return c.redirect(PATH, 303);
      } catch (error) {
        return answer(c, deps, session, errorOf(error));
      }
    }),
  );
}

/** Its session has no principal: a closed account's people may do this and nothing else. */
function ownerOf(session: Session): SubaccountPrincipal | undefined {
  const { masterId, subaccountId, memberId, role, state, must, acting } = session;
  const closed = state === "closed" || state === "archived";
  if (!closed || must !== null || acting !== null || role !== "owner") return undefined;
  if (masterId === null || subaccountId === null || memberId === null) return undefined;
  return memberPrincipal({ masterId, subaccountId, memberId, role }) as SubaccountPrincipal;
}

async function answer(c: Visit, deps: PortalDeps, session: Session, wrong: Wrong = {}) {
  const page = { title: "Renew as my own account", brand: await sessionBrand(deps, session), session, ...wrong };
  return answerPage(c, { ...page, content: await contentFor(deps, session) });
}

async function contentFor({ db, clock }: PortalDeps, session: Session): Promise<Html> {
  const owner = ownerOf(session);
  if (owner === undefined) {
    return html`<p>This page is for the owner of a closed account.</p><p><a href="/account">Your account</a></p>`;
  }
  const [last] = await listTransfers(db, owner, { limit: 1 }, clock);
  if (last?.kind === "renewal" && last.state === "accepted") {
    return html`<p>You have asked for it on ${shownInstant(last.createdAt)}. The operator looks at it and sends you what to do next.</p>`;
  }
  return html`<p>Your account is closed. You can go on with an account of your own: you, and no longer your reseller, are its
customer and pay for it.</p>
<ul>
<li>Your credentials, keys and proven sender domains go along. Your use starts at zero.</li>
<li>Branding, and domains that your reseller has lent you, stay behind; so do the bills of earlier months.</li>
<li>The operator has to agree, and tells you the price before.</li>
</ul>
<form method="post" action="${PATH}">${hidden("csrf", session.csrf)}<p><button>Ask for my own account</button></p></form>`;
}
