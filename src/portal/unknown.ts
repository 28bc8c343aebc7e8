/** The page of a path where there is nothing. */
import { html } from "hono/html";
import type { PortalDeps } from "./deps.ts";
import { hostBrand } from "./host-brand.ts";
import { answerPage } from "./page.ts";
import type { Visit } from "./visit.ts";

/** @param status 405: there is something at it, but not for this method. */
export async function answerUnknown(c: Visit, deps: PortalDeps, status: 404 | 405): Promise<Response> {
  const content = html`<p>Perhaps the address was not copied whole, or the page was left in the middle of a form.</p>
<p><a href="/account">Your account</a></p>`;
  return answerPage(c, { title: "There is no such page", brand: await hostBrand(c, deps), content, status });
}
