/** Taking over an account that was offered: a master by its limit there, or the account itself, which then stands alone. */
import type { Hono } from "hono";
import { html } from "hono/html";
import type { MasterPrincipal, Principal, SubaccountPrincipal } from "../accounts/principal.ts";
import { acceptTransfer } from "../lifecycle/accept-transfer.ts";
import type { Session } from "../people/sessions.ts";
import { Fault, invalid } from "../platform/errors.ts";
import type { PortalDeps } from "./deps.ts";
import { errorOf } from "./faults.ts";
import { answerPage, fieldsOf, hidden, type Wrong } from "./page.ts";
import { type Env, type Form, sessionOf, type Visit } from "./visit.ts";
import { sessionBrand, withSession } from "./with-session.ts";

const TITLE = "Take over an account";

export function mountTransfer(app: Hono<Env>, deps: PortalDeps): void {
  const { db, keyring, clock } = deps;
  const route = "/transfer/{token}";
  app.get("/transfer/:token", async (c) => {
    c.set("route", route);
    const session = await sessionOf(c, deps);
    if (session === undefined)
      return c.redirect(`/login?next=/transfer/${encodeURIComponent(c.req.param("token"))}`, 303);
    return answer(c, deps, session, {});
  });
  app.post("/transfer/:token", (c) =>
    withSession(c, deps, route, async (session, form) => {
      try {
        const taker = takerOf(session);
        const terms = { name: form.name === "" ? undefined : form.name, monthlyLimit: limitOf(form, taker) };
        const { state } = await acceptTransfer(db, taker, { token: c.req.param("token") ?? "" }, terms, keyring, clock);
        const done =
          state === "done"
            ? html`<p>The account is yours from now on. What it sends is charged to you, starting at zero.</p>`
            : html`<p>You have agreed. The operator sets the terms, and the account moves when he has.</p>`;
        return answerPage(c, { title: TITLE, brand: await sessionBrand(deps, session), session, content: done });
      } catch (error) {
        return answer(c, deps, session, { form, ...errorOf(error) });
      }
    }),
  );
}

function takerOf({ principal }: Session): MasterPrincipal | SubaccountPrincipal {
  if (principal === undefined || principal.kind === "operator") {
    throw new Fault("forbidden", "Log in as a person of the account that takes it over.");
  }
  return principal;
}

/** A master's choice; empty: bounded by its allowance only. */
function limitOf({ monthly_limit: text = "" }: Form, { kind }: Principal): number | null | undefined {
  if (kind !== "master") return undefined;
  if (text.trim() === "") return null;
  const limit = Number(text);
  if (!/^\d{1,16}$/.test(text.trim()) || !Number.isSafeInteger(limit)) {
    throw invalid("/monthly_limit", "This is not a whole number of recipients.");
  }
  return limit;
}

type Again = Wrong & Readonly<{ form?: Form }>;

async function answer(c: Visit, deps: PortalDeps, session: Session, { form = {}, ...wrong }: Again) {
  const field = fieldsOf(wrong);
  const master = session.principal?.kind === "master";
  const hint = "Recipients a month; empty: bounded by your allowance only.";
  const fields = html`${field({ name: "name", label: "What you call it", value: form.name, autocomplete: "off", optional: true })}
${field({ name: "monthly_limit", label: "Monthly limit", hint, value: form.monthly_limit, autocomplete: "off", optional: true, numeric: true })}`;
  const content = html`<p>An account was offered to you. When you take it over, you pay for what it sends from then on; its
earlier months stay with who had it.</p>
<form method="post">
${hidden("csrf", session.csrf)}
${master ? fields : ""}
<p><button>Take it over</button></p>
</form>`;
  return answerPage(c, { title: TITLE, brand: await sessionBrand(deps, session), session, content, ...wrong });
}
