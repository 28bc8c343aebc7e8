/** Whether a principal may change anything, and whether it is high enough. Whose rows it reaches is find.ts's matter. */
import { Fault } from "../platform/errors.ts";
import { type MasterPrincipal, type Operator, type Principal, type Scope, scopesOf } from "./principal.ts";

/** @throws Fault forbidden for a key without the scope `full`, and for an account that may only read now. */
export function requireChange(principal: Principal): void {
  requireScope(principal, ["full"]);
}

/**
 * Credentials, domains and keys, which a developer looks after.
 * @throws Fault forbidden without the scope `develop` or `full`, and for an account that may only read now.
 */
export function requireDevelop(principal: Principal): void {
  requireScope(principal, ["full", "develop"]);
}

/**
 * To which billing profile an account belongs: a member with the role billing may change it, since he may read the account too.
 * @throws Fault forbidden without the scopes `read` and `billing`, or `full`, and for an account that may only read now.
 */
export function requireBilling(principal: Principal): void {
  requireScope(principal, ["full", "billing"]);
  requireScope(principal, ["full", "read"]);
}

function requireScope(principal: Principal, any: readonly Scope[]): void {
  if (principal.kind !== "operator" && principal.frozen !== undefined) {
    throw new Fault("forbidden", `This account is ${principal.frozen}: it may read, and change nothing.`);
  }
  const own = scopesOf(principal);
  if (!any.some((scope) => own.includes(scope))) throw new Fault("forbidden", "This needs a key with the scope full.");
}

/** @throws Fault forbidden for a subaccount, and as requireChange. */
export function requireMasterChange(principal: Principal): asserts principal is MasterPrincipal | Operator {
  if (principal.kind === "subaccount") throw new Fault("forbidden", "A subaccount may not do this; its master may.");
  requireChange(principal);
}

/** The operator, also when it acts for an account. @throws Fault forbidden */
export function requireOperator(principal: Principal): void {
  if (principal.kind !== "operator" && !principal.operator) {
    throw new Fault("forbidden", "Only the operator may do this.");
  }
}
