/**
 * The brand of a page before anybody has logged in, or when a link leads nowhere: that of the host that was asked for.
 *
 * Invariant: the Host header chooses the looks alone, among hosts that are proven; no link and no decision follows from it.
 */
import { type Brand, ourBrand } from "../branding/brand.ts";
import { brandForHost } from "../branding/hosts.ts";
import { lettersOf, type PortalDeps } from "./deps.ts";
import type { Visit } from "./visit.ts";

export async function hostBrand(c: Visit, deps: PortalDeps): Promise<Brand> {
  const { config } = lettersOf(deps);
  const found = deps.hosts && (await brandForHost(deps.db, deps.hosts, c.req.header("host"), config));
  return found?.brand ?? ourBrand(config);
}
