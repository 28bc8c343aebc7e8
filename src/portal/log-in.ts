/** Log in and out: a form for people, JSON for programs. */
import type { Hono } from "hono";
import { html } from "hono/html";
import type { Brand } from "../branding/brand.ts";
import { CLEAR_COOKIE, setCookie } from "../people/cookie.ts";
import { type LogInAnswer, logIn } from "../people/log-in.ts";
import { ABSOLUTE_MS, endSession, findSession, type Session } from "../people/sessions.ts";
import { Fault } from "../platform/errors.ts";
import { formatAccount, formatId, parseId } from "../platform/ids.ts";
import type { PortalDeps } from "./deps.ts";
import { errorOf } from "./faults.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage, fieldsOf, hidden, type Page, type Wrong } from "./page.ts";
import {
  clientOf,
  type Env,
  type Form,
  pathOf,
  readForm,
  requireOwnPage,
  sessionOf,
  type Visit,
  wantsJson,
} from "./visit.ts";
import { type Tongue, told, tongueOf } from "./words.ts";

export function mountLogIn(app: Hono<Env>, deps: PortalDeps): void {
  app.get("/login", async (c) => {
    c.set("route", "/login");
    const next = c.req.query("next");
    if ((await sessionOf(c, deps)) !== undefined) return c.redirect(pathOf(next), 303);
    return answerPage(c, logInPage(await hostBrand(c, deps), tongueOf(c), { next }));
  });
  app.post("/login", async (c) => {
    c.set("route", "/login");
    const form = await readForm(c);
    return wantsJson(c) ? logInProgram(c, deps, form) : logInPerson(c, deps, form);
  });
  app.post("/logout", async (c) => {
    c.set("route", "/logout");
    requireOwnPage(c);
    const session = await sessionOf(c, deps);
    if (session !== undefined) await endSession(deps.db, session.id, deps.clock);
    c.header("Set-Cookie", CLEAR_COOKIE);
    c.header("Cache-Control", "no-store");
    return /\btext\/html\b/.test(c.req.header("accept") ?? "") ? c.redirect("/login", 303) : c.body(null, 204);
  });
  app.get("/session", async (c) => {
    c.set("route", "/session");
    const session = await sessionOf(c, deps);
    if (session === undefined) throw new Fault("unauthorized", "Nobody is logged in: POST /login.");
    return c.json(showSession(session), 200, { "Cache-Control": "no-store" });
  });
}

function attempt(c: Visit, deps: PortalDeps, form: Form): Promise<LogInAnswer> {
  const { email = "", password, proof } = form;
  const memberId = parseId("mem", form.member_id ?? "");
  return logIn(deps, { email: email.trim(), password, proof, code: form.totp, memberId, ...clientOf(c, deps) });
}

/** The answer has the token that changes need (X-CSRF-Token); the session is in the cookie. */
async function logInProgram(c: Visit, deps: PortalDeps, form: Form): Promise<Response> {
  if (form.email === undefined || form.password === undefined) {
    const missing = form.email === undefined ? "email" : "password";
    throw new Fault("invalid", `${missing} is missing.`, [{ pointer: `/${missing}`, detail: "This is missing." }]);
  }
  const answer = await attempt(c, deps, form);
  if (answer.kind !== "in") throw refusalOf(answer);
  const session = await findSession(deps.db, answer.token, deps.keyring, deps.clock);
  c.header("Set-Cookie", setCookie(answer.token, ABSOLUTE_MS));
  return c.json(showSession(session as Session), 200, { "Cache-Control": "no-store" });
}

async function logInPerson(c: Visit, deps: PortalDeps, form: Form): Promise<Response> {
  const answer = await attempt(c, deps, form);
  const { email, next } = form;
  if (answer.kind === "in") {
    c.header("Set-Cookie", setCookie(answer.token, ABSOLUTE_MS));
    return c.redirect(pathOf(next), 303);
  }
  const brand = await hostBrand(c, deps);
  const tongue = tongueOf(c);
  if (answer.kind === "second-factor")
    return answerPage(c, codePage(brand, tongue, { email, next, proof: answer.proof }));
  if (form.proof !== undefined && answer.kind === "denied") {
    const error = { detail: tongue.words.faults.codeUsed, field: "totp" };
    return answerPage(c, codePage(brand, tongue, { email, next, proof: form.proof }, { error, status: 401 }));
  }
  const { error, status } = errorOf(refusalOf(answer));
  const wrong = error && { error: { ...error, detail: told(error.detail, tongue.words) }, status };
  return answerPage(c, { ...logInPage(brand, tongue, { email, next }), ...wrong });
}

function refusalOf(answer: Exclude<LogInAnswer, { kind: "in" }>): Fault {
  if (answer.kind === "second-factor") return new Fault("second-factor", "Send the code of the second factor as totp.");
  if (answer.kind === "denied") return new Fault("unauthorized", "This address and password don't belong together.");
  return new Fault(
    "too-many",
    "Too many failures: from your network nobody logs in with this address for five minutes.",
  );
}

type Given = Readonly<{ email?: string | undefined; next?: string | undefined; proof?: string }>;

function logInPage(brand: Brand, tongue: Tongue, { email, next }: Given): Page {
  const field = fieldsOf();
  const { frame, logIn } = tongue.words;
  const content = html`<form method="post" action="/login">
${field({ name: "email", label: frame.email, type: "email", value: email, autocomplete: "username", focus: true })}
${field({ name: "password", label: frame.password, type: "password", autocomplete: "current-password" })}
${next === undefined ? "" : hidden("next", next)}
<p><button>${frame.logIn}</button></p>
</form>
<p><a href="/reset">${logIn.forgotten}</a></p>`;
  return { title: frame.logIn, brand, tongue, content };
}

function codePage(brand: Brand, tongue: Tongue, { email = "", next, proof = "" }: Given, wrong: Wrong = {}): Page {
  const field = fieldsOf(wrong);
  const { frame, logIn } = tongue.words;
  const content = html`<form method="post" action="/login">
${field({ name: "totp", label: logIn.code, hint: logIn.codeHint, autocomplete: "one-time-code", focus: true })}
${hidden("email", email)}${hidden("proof", proof)}${next === undefined ? "" : hidden("next", next)}
<p><button>${frame.logIn}</button></p>
</form>
<p><a href="/login">${logIn.again}</a></p>`;
  return { title: logIn.codeTitle, brand, tongue, content, ...wrong };
}

/** Who is logged in, as what, and what has to be done first. */
function showSession(session: Session) {
  const { masterId, subaccountId, memberId, person } = session;
  return {
    email: person?.email ?? null,
    name: person?.name ?? null,
    role: session.role,
    member_id: memberId && formatId("mem", memberId),
    account: masterId === null ? null : formatAccount({ masterId, subaccountId }),
    state: session.state,
    second_factor: person?.secondFactor ?? false,
    must: session.must,
    acting: session.acting,
    csrf_token: session.csrf,
    expires_at: session.expiresAt.toISOString(),
  };
}
