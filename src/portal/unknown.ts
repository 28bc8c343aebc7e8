/** The page of a path where there is nothing. */
import { html } from "hono/html";
import type { PortalDeps } from "./deps.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage } from "./page.ts";
import type { Visit } from "./visit.ts";
import { tongueOf } from "./words.ts";

/** @param status 405: there is something at it, but not for this method. */
export async function answerUnknown(c: Visit, deps: PortalDeps, status: 404 | 405): Promise<Response> {
  const tongue = tongueOf(c);
  const { frame, unknown } = tongue.words;
  const content = html`<p>${unknown.why}</p>
<p><a href="/account">${frame.yourAccount}</a></p>`;
  return answerPage(c, { title: unknown.title, brand: await hostBrand(c, deps), tongue, content, status });
}
