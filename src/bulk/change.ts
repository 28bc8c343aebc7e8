/**
 * What a bulk change makes of one subaccount. Pure.
 *
 * Invariant: planned and done by the same function; a raise by a number or a share is of the limit that the plan has seen, since
 * an account that has changed since is skipped.
 */
import type { Subaccount } from "../accounts/account.ts";
import { changedMembers, checkFields } from "../accounts/fields.ts";
import { moveOf, type StateAction } from "../accounts/states.ts";
import { type SubaccountDetails, subaccountFields } from "../accounts/subaccount-fields.ts";
import { Fault } from "../platform/errors.ts";
import type { ItemError } from "../platform/schema.ts";
import { errorsOf, membersAt } from "./plan-row.ts";

/** `add` may be below zero; `percent` 120 is a fifth more, rounded to whole units. */
export type LimitChange = number | null | Readonly<{ add: number }> | Readonly<{ percent: number }>;

export type BulkChange = Readonly<{
  limit?: LimitChange | undefined;
  details?: Omit<SubaccountDetails, "monthlyLimit" | "name" | "slug" | "externalId"> | undefined;
  action?: StateAction | undefined;
}>;

export type Changed = Readonly<{
  details: SubaccountDetails;
  /** Undefined: none, or it is in that state already. */
  action: StateAction | undefined;
  /** Only what changes, at the door's names. */
  before: Readonly<Record<string, unknown>>;
  after: Readonly<Record<string, unknown>>;
  errors: readonly ItemError[];
}>;

export function changeOf(subaccount: Subaccount, { limit, details = {}, action }: BulkChange): Changed {
  const errors: ItemError[] = [];
  const newLimit = limit === undefined ? undefined : limitOf(subaccount, limit);
  if (typeof newLimit === "string") errors.push({ column: "monthly_limit", detail: newLimit });
  const wanted = { ...details, ...(typeof newLimit === "string" ? {} : { monthlyLimit: newLimit }) };
  errors.push(...broken(wanted));
  const changed = changedMembers<SubaccountDetails>(subaccountFields, subaccount, wanted);
  const names = Object.keys(changed) as (keyof SubaccountDetails)[];
  const before = membersAt(subaccount, names);
  const after = membersAt(changed, names);
  if (action === undefined) return { details: changed, action, before, after, errors };
  const move = moveOf(subaccount, action);
  if (move === undefined) errors.push({ column: null, detail: `It is ${subaccount.ownState}: it can't ${action}.` });
  if (move === undefined || move === "stays") return { details: changed, action: undefined, before, after, errors };
  const to = move === "before" ? (subaccount.stateBefore ?? "active") : move;
  const states = [{ state: subaccount.ownState }, { state: to }] as const;
  return { details: changed, action, before: { ...before, ...states[0] }, after: { ...after, ...states[1] }, errors };
}

/** The new limit, or why there is none. */
function limitOf({ own, monthlyLimit }: Subaccount, change: LimitChange): number | null | string {
  if (own) return "The master's own subaccount has no limit: its allowance bounds it.";
  if (change === null || typeof change === "number") return change;
  if (monthlyLimit === null) return "It has no limit that could be raised or lowered.";
  const limit = "add" in change ? monthlyLimit + change.add : Math.round((monthlyLimit * change.percent) / 100);
  return limit < 0 ? `It would be ${limit}.` : limit;
}

function broken(details: SubaccountDetails): ItemError[] {
  try {
    checkFields(subaccountFields, details);
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return errorsOf(error);
  }
}

/** As a run keeps it: instants as text. */
export function storeChange(change: BulkChange): Record<string, unknown> {
  return JSON.parse(JSON.stringify(change)) as Record<string, unknown>;
}

export function readChange(stored: Readonly<Record<string, unknown>>): BulkChange {
  const { details = {}, ...change } = stored as BulkChange;
  const instants = (["expiresAt", "acceptedTermsAt"] as const).flatMap((name) => {
    const text = details[name];
    return text == null ? [] : [[name, new Date(text)] as const];
  });
  return { ...change, details: { ...details, ...Object.fromEntries(instants) } };
}
