/**
 * The state machine of subaccounts and masters, as tables.
 *
 * The own state is what its master (or the operator, for a master) has set. Suspension and an end date are flags apart,
 * and the master's own three count for its subaccounts: all must allow. The state shown is the strongest of them.
 */

export const ownStates = ["pending", "active", "disabled", "closed", "archived"] as const;
export type OwnState = (typeof ownStates)[number];

/** Weakest first. */
export const shownStates = ["active", "pending", "disabled", "expired", "suspended", "closed", "archived"] as const;
export type ShownState = (typeof shownStates)[number];

export const masterStates = ["active", "expired", "suspended", "closed"] as const;
export type MasterState = (typeof masterStates)[number];

export const stateActions = ["close", "reopen", "archive", "disable", "enable"] as const;
export type StateAction = (typeof stateActions)[number];
export const flagActions = ["suspend", "resume"] as const;
export type FlagAction = (typeof flagActions)[number];
export type Action = StateAction | FlagAction;

/** `before`: the state it had when it was closed. A state that is missing here does not allow the action. */
export type Move = OwnState | "before" | "stays";

/** What each action makes of each own state. `stays`: it is done already, and repeating it changes nothing. */
export const subaccountMoves: Readonly<Record<StateAction, Partial<Record<OwnState, Move>>>> = {
  close: { pending: "closed", active: "closed", disabled: "closed", closed: "stays" },
  reopen: { closed: "before", archived: "before", pending: "stays", active: "stays", disabled: "stays" },
  archive: { closed: "archived", archived: "stays" },
  disable: { active: "disabled", disabled: "stays" },
  enable: { pending: "active", disabled: "active", active: "stays" },
};

/** Undefined: not from this state, and never for the master's own sending, which can't be closed. */
export function moveOf(
  account: Readonly<{ own: boolean; ownState: OwnState; movedTo?: unknown; erasedAt?: unknown }>,
  action: StateAction,
): Move | undefined {
  if ((account.movedTo ?? account.erasedAt ?? null) !== null && action !== "archive") return undefined;
  if (account.own && (action === "close" || action === "archive")) return undefined;
  return subaccountMoves[action][account.ownState];
}

export const masterMoves: Readonly<Partial<Record<StateAction, Partial<Record<"active" | "closed", Move>>>>> = {
  close: { active: "closed", closed: "stays" },
  reopen: { closed: "active", active: "stays" },
};

/** What can bar an account from sending. */
export type StateFacts = Readonly<{ state: OwnState; suspendedAt: Date | null; expiresAt: Date | null }>;

/** The strongest of what all of them say, e.g. a subaccount and its master. */
export function shownState(now: Date, ...accounts: readonly StateFacts[]): ShownState {
  let strongest = 0;
  for (const { state, suspendedAt, expiresAt } of accounts) {
    strongest = Math.max(strongest, strength[state]);
    if (suspendedAt !== null) strongest = Math.max(strongest, strength.suspended);
    if (expiresAt !== null && now >= expiresAt) strongest = Math.max(strongest, strength.expired);
  }
  return shownStates[strongest] ?? "active";
}

const strength = Object.fromEntries(shownStates.map((state, rank) => [state, rank])) as Record<ShownState, number>;

export type RenewalFacts = Readonly<{
  own: boolean;
  ownState: OwnState;
  expiresAt: Date | null;
  movedTo: unknown;
  erasedAt: unknown;
}>;

/** Whether there is an end to put off: a date, or a close. */
export function isRenewable({ own, ownState, expiresAt, movedTo, erasedAt }: RenewalFacts): boolean {
  if (own || (movedTo ?? erasedAt ?? null) !== null) return false;
  return expiresAt !== null || ownState === "closed" || ownState === "archived";
}
