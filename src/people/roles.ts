/** What each role may do, and whom it may make one of. Pure tables. */
import type { Scope } from "../accounts/principal.ts";
import type { Role } from "../platform/schema-people.ts";

export type { Role } from "../platform/schema-people.ts";

export const roles = ["owner", "admin", "developer", "billing", "viewer"] as const satisfies readonly Role[];

/**
 * As scopes of keys, so that a person and a key are asked the same question. Nobody but a master has bills; a viewer reads
 * them too, and `billing` adds that he says to which billing profile a subaccount belongs.
 */
export const scopesOf: Readonly<Record<Role, readonly Scope[]>> = {
  owner: ["full"],
  admin: ["full"],
  developer: ["read", "send", "develop"],
  billing: ["read", "billing"],
  viewer: ["read"],
};

/** Who may invite, change and remove whom: an admin everybody but owners. */
const manages: Readonly<Record<Role, readonly Role[]>> = {
  owner: roles,
  admin: ["admin", "developer", "billing", "viewer"],
  developer: [],
  billing: [],
  viewer: [],
};

export function mayManage(own: Role, other: Role): boolean {
  return manages[own].includes(other);
}
