/** What a rule says no with, as a page: the status, and which field is wrong. */

import { html } from "hono/html";
import { Fault } from "../platform/errors.ts";
import type { PortalDeps } from "./deps.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage, type Html, type Wrong } from "./page.ts";
import { type Visit, wantsJson } from "./visit.ts";

const statuses = {
  "not-found": 404,
  forbidden: 403,
  conflict: 409,
  gone: 410,
  invalid: 422,
  precondition: 409,
  unauthorized: 401,
  "second-factor": 401,
  "too-many": 429,
  unavailable: 503,
} as const;

/** The page again, with what is wrong; anything that is no Fault goes on to be answered as a failure. */
export function errorOf(error: unknown): Wrong {
  if (!(error instanceof Fault)) throw error;
  const field = error.details[0]?.pointer.slice(1);
  return { error: { detail: error.message, field }, status: statuses[error.kind] };
}

/** A page of its own for what can't be tried again in the form. Programs get the problem document. */
export async function answerFault(c: Visit, deps: PortalDeps, title: string, error: unknown, next?: Html) {
  if (wantsJson(c)) throw error;
  const brand = await hostBrand(c, deps);
  return answerPage(c, { title, brand, ...errorOf(error), content: next ?? html`<p><a href="/login">Log in</a></p>` });
}
