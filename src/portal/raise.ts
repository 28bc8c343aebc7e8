/** The page of a raise: what the account has used, and a limit that would do, to be confirmed. */
import type { Hono } from "hono";
import { html } from "hono/html";
import { confirmRaise, type Raise, readRaise } from "../alerts/raise.ts";
import { brandOf } from "../branding/brand.ts";
import type { Session } from "../people/sessions.ts";
import { Fault } from "../platform/errors.ts";
import { formatId } from "../platform/ids.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import { answerFault, errorOf } from "./faults.ts";
import { answerPage, fieldsOf, type Html, hidden, type Page, shownInstant, type Wrong } from "./page.ts";
import { type Env, readForm, requireToken, sessionOf, type Visit } from "./visit.ts";

const TITLE = "Raise the limit";
const ROUTE = "/raise/{token}";

export function mountRaise(app: Hono<Env>, deps: PortalDeps): void {
  app.get("/raise/:token", async (c) => {
    c.set("route", ROUTE);
    try {
      const session = await sessionOf(c, deps);
      const raise = await readRaise(deps.db, c.req.param("token"), deps);
      return answerPage(c, await raisePage(c, deps, raise, { session }));
    } catch (error) {
      return answerFault(c, deps, TITLE, error);
    }
  });
  app.post("/raise/:token", async (c) => {
    c.set("route", ROUTE);
    let pageAgain: ((wrong: Wrong) => Promise<Page>) | undefined;
    try {
      const form = await readForm(c);
      const session = await sessionOf(c, deps);
      if (session !== undefined) requireToken(form, session);
      const token = c.req.param("token");
      const raise = await readRaise(deps.db, token, deps);
      pageAgain = (wrong) => raisePage(c, deps, raise, { session, given: form.limit, wrong });
      const changed = await confirmRaise(deps.db, token, wholeOf(form.limit), session?.principal, deps);
      const content = html`<p>${changed.name} may send to ${count(changed.monthlyLimit ?? 0)} recipients in a period now.
The next message is accepted up to there.</p>`;
      return answerPage(c, { ...(await pageAgain({})), title: "The limit is raised", content });
    } catch (error) {
      const wrong = atLimit(errorOf(error));
      if (pageAgain === undefined || wrong.status === 410) return answerFault(c, deps, TITLE, error);
      return answerPage(c, await pageAgain(wrong));
    }
  });
}

/** There is one field: what is wrong with the account's limit is wrong with it. */
function atLimit({ error, ...rest }: Wrong): Wrong {
  return { ...rest, error: error && { ...error, field: error.field === "monthly_limit" ? "limit" : error.field } };
}

/** Thousands may be set apart as the page shows them. @throws Fault invalid at /limit */
function wholeOf(text = ""): number {
  const digits = text.trim().replaceAll(",", "");
  if (/^\d{1,15}$/.test(digits)) return Number(digits);
  const detail = "Give a whole number of recipients.";
  throw new Fault("invalid", detail, [{ pointer: "/limit", detail }]);
}

const count = (units: number): string => units.toLocaleString("en-US");

async function raisePage(
  c: Visit,
  deps: PortalDeps,
  raise: Raise,
  { session, given, wrong = {} }: Readonly<{ session: Session | undefined; given?: string | undefined; wrong?: Wrong }>,
): Promise<Page> {
  const field = fieldsOf(wrong);
  const { subaccount, limit, usage, proposal, bound } = raise;
  const brand = await brandOf(deps.db, { masterId: subaccount.masterId, subaccountId: null }, lettersOf(deps).config);
  const rows: [string, string][] = [
    ["Account", `${subaccount.name} (${formatId("sub", subaccount.id)})`],
    ["Used", `${count(usage.used)} recipients`],
    ["Limit", count(limit)],
    ...(usage.topUp > 0 ? [["Top-ups", count(usage.topUp)] as [string, string]] : []),
    ["Resets", shownInstant(usage.period.end)],
    ...forecastRows(raise),
  ];
  const content = html`<dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
<form method="post">
${session === undefined ? "" : hidden("csrf", session.csrf)}
${field({ name: "limit", label: "New monthly limit", value: given ?? String(proposal ?? ""), hint: `Above ${count(limit)}. It holds for the periods to come too.`, autocomplete: "off", numeric: true, focus: true })}
<p><button>Raise the limit</button></p>
</form>
${boundNote(c, bound, limit, session)}`;
  return { title: TITLE, brand, session, content, ...wrong };
}

function forecastRows({ forecast }: Raise): [string, string][] {
  const { reaches, atEnd } = forecast;
  const band = `${reaches.earliest} to ${reaches.latest ?? "after the reset"}`;
  return [
    ...(forecast.state === "expected"
      ? [["100 % expected on", `${reaches.expected} (${band})`] as [string, string]]
      : []),
    ...(atEnd === null
      ? []
      : [
          ["Expected by the reset", `${count(atEnd.expected)} (${count(atEnd.low)} to ${count(atEnd.high)})`] as [
            string,
            string,
          ],
        ]),
  ];
}

/** How far the link reaches by itself. */
function boundNote(c: Visit, bound: number, limit: number, session: Session | undefined): Html {
  if (session !== undefined) return html``;
  const reach =
    bound > limit
      ? html`Without a log-in this link raises the limit to ${count(bound)} at most.`
      : html`This link raises nothing without a log-in.`;
  return html`<p>${reach} <a href="/login?next=${c.req.path}">Log in</a> to go further.</p>`;
}
