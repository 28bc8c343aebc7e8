/**
 * Who asks, and may they.
 *
 * Invariant: no route under /v1 is answered without a principal; a key that acts for an account is narrowed to it
 * before anything is looked up.
 * On failure: 401 without saying why, 403 within the own tenant, 404 for an account that is not the caller's.
 */
import { type Principal, type Scope, scopesOf } from "../accounts/principal.ts";
import { formatId } from "../platform/ids.ts";
import type { Access, Definition, Kind } from "./endpoint.ts";
import { Problem } from "./problem.ts";

const BEARER = /^Bearer +([\w.~+/=-]{1,200}) *$/i;

/** @throws Problem unauthorized */
export async function authenticate(
  header: string | undefined,
  byKey: (token: string) => Promise<Principal | undefined>,
): Promise<Principal> {
  const token = BEARER.exec(header ?? "")?.[1];
  const principal = token === undefined ? undefined : await byKey(token);
  if (principal !== undefined) return principal;
  throw new Problem("unauthorized", "Send a valid key: Authorization: Bearer pm_live_...", {
    headers: { "WWW-Authenticate": 'Bearer realm="postmeter"' },
  });
}

/** @throws Problem forbidden, suspended */
export function permit(principal: Principal, { access, method }: Pick<Definition, "access" | "method">): void {
  if (access.people) {
    if (principal.memberId !== undefined) return;
    throw new Problem("forbidden", "This is for people who are logged in: a key is no person.");
  }
  if (principal.kind === "operator") {
    if (!access.who.includes("operator")) throw new Problem("forbidden", refusalOf("operator", access));
    requireScope(scopesOf(principal), access);
    return;
  }
  const { scopes, frozen, operator } = principal;
  const asOperator = operator === true && access.who.includes("operator");
  if (!asOperator && !access.who.includes(principal.kind)) {
    throw new Problem("forbidden", refusalOf(principal.kind, access));
  }
  requireScope(scopes, access);
  if (frozen !== undefined && method !== "get") {
    throw new Problem("suspended", `This account is ${frozen}: it may read, and change nothing.`);
  }
}

function requireScope(scopes: readonly Scope[], access: Access): void {
  if (!scopes.includes("full") && !access.scopes.some((scope) => scopes.includes(scope))) {
    throw new Problem("forbidden", `This needs a key with the scope ${[...access.scopes, "full"].join(" or ")}.`);
  }
}

function refusalOf(kind: Kind, access: Access): string {
  if (kind === "operator") return "This is for one account: name it with Postmeter-Account: mas_... (or sub_...).";
  if (kind === "subaccount" && access.who.includes("master")) {
    return "A subaccount's key may not do this; its master's may.";
  }
  if (access.who.includes("subaccount")) return "This is for one subaccount: name it with Postmeter-Account: sub_...";
  return "Only the operator may do this.";
}

/** The key or person that asks, for log lines and as the owner of idempotency keys. */
export function callerOf(principal: Principal): string {
  const { memberId } = principal.kind === "subaccount" && principal.by !== undefined ? principal.by : principal;
  if (memberId !== undefined) return formatId("mem", memberId);
  if (principal.kind === "operator") return "operator";
  return principal.keyId === null ? "operator" : formatId("key", principal.keyId);
}

/** The account it asks for; undefined: all. */
export function accountOf(principal: Principal): string | undefined {
  if (principal.kind === "operator") return undefined;
  if (principal.kind === "master") return formatId("mas", principal.masterId);
  return formatId("sub", principal.subaccountId);
}
