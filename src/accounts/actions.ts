/**
 * What a caller may do to a subaccount now, so that a row of the overview offers just that. Derived from the tables of states.ts
 * and from who asks; pure.
 *
 * Invariant: what is named is allowed and changes something; what is not is refused, or is done already. Whether there is room
 * (strict allocation) is told by the action itself.
 */
import type { Subaccount } from "./account.ts";
import type { Principal } from "./principal.ts";
import { flagActions, isRenewable, moveOf, stateActions } from "./states.ts";

export const rowActions = [
  "change",
  "top_up",
  ...stateActions,
  ...flagActions,
  "log_in_as",
  "invite",
  "resend_invitation",
  "reset_password",
  "temporary_password",
  "renew",
] as const;
export type RowAction = (typeof rowActions)[number];

export type ActionFacts = Pick<
  Subaccount,
  | "own"
  | "state"
  | "ownState"
  | "suspendedAt"
  | "expiresAt"
  | "monthlyLimit"
  | "owner"
  | "ownerEmail"
  | "movedTo"
  | "erasedAt"
>;

/** In the order of `rowActions`. */
export function actionsOf(subaccount: ActionFacts, principal: Principal): RowAction[] {
  const may = mayOf(principal);
  return may === undefined ? [] : rowActions.filter((action) => may[kindOf(action)] && fits(subaccount, action));
}

type Kind = "owner" | "change" | "operator";

/** Undefined: it may change nothing at all. */
function mayOf(principal: Principal): Readonly<Record<Kind, boolean>> | undefined {
  if (principal.kind === "operator") return { change: true, owner: true, operator: true };
  if (principal.frozen !== undefined || !principal.scopes.includes("full")) return undefined;
  return { change: true, owner: principal.kind === "master", operator: principal.operator === true };
}

function kindOf(action: RowAction): Kind {
  if (action === "change") return "change";
  return action === "suspend" || action === "resume" ? "operator" : "owner";
}

function fits(subaccount: ActionFacts, action: RowAction): boolean {
  const { state, ownState, suspendedAt, monthlyLimit, owner, ownerEmail } = subaccount;
  const closed = state === "closed" || state === "archived";
  if (action === "change") return true;
  if (action === "suspend") return suspendedAt === null;
  if (action === "resume") return suspendedAt !== null;
  if (action === "top_up") return monthlyLimit !== null && ownState !== "closed" && ownState !== "archived";
  if (action === "log_in_as") return !closed;
  if (action === "invite") return !closed && owner === null && ownerEmail !== null;
  if (action === "resend_invitation") return !closed && owner === "invited";
  if (action === "reset_password" || action === "temporary_password") return owner === "in";
  if (action === "renew") return isRenewable(subaccount);
  const move = moveOf(subaccount, action);
  return move !== undefined && move !== "stays";
}
