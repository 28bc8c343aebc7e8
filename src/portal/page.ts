/** The frame of a page: brand, title, what went wrong, and the bar of those who act for somebody. */
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { type Brand, inkOn } from "../branding/brand.ts";
import type { Session } from "../people/sessions.ts";
import { formatAccount } from "../platform/ids.ts";
import type { Visit } from "./visit.ts";
import { english, type Tongue } from "./words.ts";

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

export type Page = Readonly<{
  title: string;
  brand: Brand;
  /** Left out: English. */
  tongue?: Tongue;
  session?: Session | undefined;
  /** What was wrong, told first; `field` leads to the input. */
  error?: Readonly<{ detail: string; field?: string | undefined }> | undefined;
  content: Html;
  status?: 200 | 401 | 403 | 404 | 405 | 409 | 410 | 422 | 429 | 503;
}>;

/** What is wrong with what was sent, and the status that says so. */
export type Wrong = Pick<Page, "error" | "status">;

/** Only our own style; forms go to this host; nothing may frame it. */
function policyOf(brand: Brand, nonce: string): string {
  const images = brand.logoUrl === null ? "'self' data:" : `'self' data: ${new URL(brand.logoUrl).origin}`;
  return `default-src 'none'; style-src 'self' 'nonce-${nonce}'; img-src ${images}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;
}

export async function answerPage(c: Visit, page: Page): Promise<Response> {
  const { title, brand, tongue = english, session, error, content, status = 200 } = page;
  const { frame } = tongue.words;
  const nonce = crypto.randomUUID();
  const ink = inkOn(brand.colour);
  const body = await html`<!doctype html>
<html lang="${tongue.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${error === undefined ? "" : `${frame.error} `}${title} - ${brand.productName}</title>
<link rel="stylesheet" href="/portal.css">
<style nonce="${nonce}">:root { --brand: ${raw(brand.colour)}; --ink: ${raw(ink)}; }</style>
</head>
<body>
${session === undefined ? "" : actingBar(session)}
<header>${brand.logoUrl === null ? "" : html`<img src="${brand.logoUrl}" alt="" height="32">`}<span>${brand.productName}</span></header>
<main>
<h1>${title}</h1>
${error === undefined ? "" : errorSummary(error)}
${content}
</main>
<footer>${brand.supportAddress === null ? "" : html`<p>${frame.help} <a href="mailto:${brand.supportAddress}">${brand.supportAddress}</a></p>`}${brand.footer === null ? "" : html`<p>${brand.footer}</p>`}</footer>
</body>
</html>`;
  return c.html(body, status, {
    "Content-Security-Policy": policyOf(brand, nonce),
    "Cache-Control": "no-store",
    "Content-Language": tongue.language,
  });
}

/** Those who act for somebody see on every page for whom, why, how far their rights go, and until when. */
function actingBar({ acting, masterId, subaccountId, accountName, csrf, expiresAt }: Session): Html {
  if (acting === null || masterId === null) return html``;
  const rights = acting.read_only ? "you may look, and change nothing" : "with all rights";
  return html`<form class="acting" method="post" action="/logout" aria-label="Acting for another account">
<p>You act for <strong>${accountName}</strong> (${formatAccount({ masterId, subaccountId })}), ${rights}, until
<time datetime="${expiresAt.toISOString()}">${shownTime(expiresAt)}</time>.<br>Reason: ${acting.reason}</p>
<input type="hidden" name="csrf" value="${csrf}"><button>Leave</button></form>`;
}

function errorSummary({ detail, field }: NonNullable<Page["error"]>): Html {
  const text = field === undefined ? html`${detail}` : html`<a href="#${field}">${detail}</a>`;
  return html`<div class="error" role="alert" tabindex="-1"><p>${text}</p></div>`;
}

export type Field = Readonly<{
  name: string;
  label: string;
  type?: "text" | "email" | "password";
  hint?: string;
  value?: string | undefined;
  autocomplete: string;
  optional?: boolean;
  numeric?: boolean;
  /** Of a form that has not come back. */
  focus?: boolean;
}>;

/** Fields of a form: in one that has come back, the field that was wrong says so and why, and has the focus. */
export function fieldsOf({ error }: Wrong = {}): (input: Field) => Html {
  return (input) => {
    if (error?.field === undefined) return field(input);
    return error.field === input.name
      ? field({ ...input, focus: true }, error.detail)
      : field({ ...input, focus: false });
  };
}

function field(input: Field, wrong?: string): Html {
  const { name, label, type = "text", hint, value = "", autocomplete, optional, numeric, focus } = input;
  const notes = [hint === undefined ? "" : `${name}-hint`, wrong === undefined ? "" : `${name}-error`];
  const described = notes.filter((id) => id !== "").join(" ");
  return html`<p class="field"><label for="${name}">${label}</label>
${hint === undefined ? "" : html`<span class="hint" id="${name}-hint">${hint}</span>`}
${wrong === undefined ? "" : html`<span class="wrong" id="${name}-error">${wrong}</span>`}
<input id="${name}" name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}"${described === "" ? "" : html` aria-describedby="${described}"`}${optional ? "" : raw(" required")}${wrong === undefined ? "" : raw(' aria-invalid="true"')}${numeric ? raw(' inputmode="numeric"') : ""}${focus ? raw(" autofocus") : ""}></p>`;
}

/** For a password that is chosen here. */
export function newPassword(label: string): Field {
  const hint = "At least 12 characters: some words in a row are easy to keep in mind.";
  return { name: "password", label, type: "password", autocomplete: "new-password", hint };
}

export const hidden = (name: string, value: string): Html =>
  html`<input type="hidden" name="${name}" value="${value}">`;

/** Of an instant today. */
export const shownTime = (at: Date): string => `${at.toISOString().slice(11, 16)} UTC`;

/** Instants on pages are UTC: whoever reads them compares them with the API. */
export const shownInstant = (at: Date): string => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
