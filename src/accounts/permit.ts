/** Whether a principal may change anything, and whether it is high enough. Whose rows it reaches is find.ts's matter. */
import { Fault } from "../platform/errors.ts";
import type { MasterPrincipal, Operator, Principal } from "./principal.ts";

/** @throws Fault forbidden for a key without the scope `full`, and for an account that may only read now. */
export function requireChange(principal: Principal): void {
  if (principal.kind === "operator") return;
  if (principal.frozen !== undefined) {
    throw new Fault("forbidden", `This account is ${principal.frozen}: it may read, and change nothing.`);
  }
  if (!principal.scopes.includes("full")) throw new Fault("forbidden", "This needs a key with the scope full.");
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
