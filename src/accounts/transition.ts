/**
 * The verbs of the state machine (states.ts) for subaccounts and masters.
 *
 * Invariant: after their answer no mail is accepted against them on any node: the usage rows follow in the same
 * transaction (trigger), and acceptance reads those under locks. Repeating a transition changes nothing.
 */
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master, Subaccount } from "./account.ts";
import { lockAllowance, requireRoom } from "./allocation.ts";
import { findMaster, findSubaccount, type SubaccountRef } from "./find.ts";
import { requireChange, requireMasterChange, requireOperator } from "./permit.ts";
import type { Principal } from "./principal.ts";
import { type Action, masterMoves, moveOf, type OwnState, type StateAction } from "./states.ts";
import { subaccountFields } from "./subaccount-fields.ts";
import { requireVersion } from "./version.ts";

const done: Readonly<Record<Action, string>> = {
  close: "closed",
  reopen: "reopened",
  archive: "archived",
  disable: "disabled",
  enable: "enabled",
  suspend: "suspended",
  resume: "resumed",
};

export type TransitionOptions = Readonly<{
  /** Of If-Match. */
  version?: number | undefined;
  /** With `disable`: the master's words, shown in refusals. */
  publicMessage?: string | null | undefined;
  /** With `reopen`: all credentials and keys are revoked. */
  rotate?: boolean | undefined;
}>;

type StateColumns = Readonly<{
  state?: OwnState;
  state_before?: "pending" | "active" | "disabled" | "closed" | null;
  closed_at?: Date | null;
  suspended_at?: Date | null;
  public_message?: string | null;
}>;

/** @throws Fault not-found, forbidden (suspend and resume are the operator's), conflict when illegal, precondition */
export async function transitionSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  action: Action,
  options: TransitionOptions,
  clock: Clock,
): Promise<Subaccount> {
  if (action === "suspend" || action === "resume") requireOperator(principal);
  else requireMasterChange(principal);
  const wrong =
    options.publicMessage === undefined ? undefined : subaccountFields.publicMessage.rule(options.publicMessage);
  if (wrong !== undefined) throw invalid("/public_message", wrong);
  return inTransaction(db, async (trx) => {
    if (action === "reopen") {
      const { masterId } = await findSubaccount(trx, principal, ref, clock);
      await lockAllowance(trx, principal, masterId, clock);
    }
    const before = await findSubaccount(trx, principal, ref, clock, "change");
    requireVersion(before, options.version);
    const change = changeOf(before, action, options, clock.now());
    if (change === "none") return before;
    if (action === "reopen") await requireRoomAgain(trx, principal, before, clock);
    await trx
      .updateTable("subaccount")
      .set((eb) => ({ ...change, updated_at: clock.now(), version: eb("version", "+", 1) }))
      .where("id", "=", before.id)
      .execute();
    if (action === "reopen" && options.rotate) await revokeAll(trx, before.id, clock.now());
    const after = await findSubaccount(trx, principal, before.id, clock);
    await tellSubaccount(trx, principal, action, before, after, clock);
    return after;
  });
}

/** Its owner has accepted the invitation: from pending to active, and nothing from any other state. */
export async function activatePending(trx: Db, id: SubaccountId, owner: Principal, clock: Clock): Promise<void> {
  const before = await findSubaccount(trx, owner, id, clock, "change");
  if (before.ownState !== "pending") return;
  await trx
    .updateTable("subaccount")
    .set((eb) => ({ state: "active", updated_at: clock.now(), version: eb("version", "+", 1) }))
    .where("id", "=", id)
    .execute();
  await tellSubaccount(trx, owner, "enable", before, await findSubaccount(trx, owner, id, clock), clock);
}

function changeOf(account: Subaccount, action: Action, options: TransitionOptions, now: Date): StateColumns | "none" {
  if (action === "suspend") return account.suspendedAt === null ? { suspended_at: now } : "none";
  if (action === "resume") return account.suspendedAt === null ? "none" : { suspended_at: null };
  if (account.movedTo !== null && action !== "archive") throw new Fault("conflict", "The account has moved away.");
  if (account.erasedAt !== null && action === "reopen") {
    throw new Fault("conflict", "What was in the account is erased: it stays closed.");
  }
  const { ownState } = account;
  const move = moveOf(account, action);
  if (move === undefined) throw illegal(action, account);
  if (move === "stays") return "none";
  if (move === "before") return { state: account.stateBefore ?? "active", state_before: null, closed_at: null };
  if (move === "closed") return { state: move, state_before: ownState as "active", closed_at: now };
  if (move === "disabled") return { state: move, public_message: options.publicMessage ?? account.publicMessage };
  return { state: move };
}

function illegal(action: StateAction, { own, ownState }: Subaccount): Fault {
  const which = own ? "The master's own subaccount" : `A subaccount that is ${ownState}`;
  return new Fault("conflict", `${which} can't be ${done[action]}.`);
}

async function requireRoomAgain(trx: Db, principal: Principal, before: Subaccount, clock: Clock): Promise<void> {
  const master = await findMaster(trx, principal, before.masterId, clock);
  if (!master.strictAllocation || before.own) return;
  if (before.monthlyLimit === null) throw new Fault("conflict", "With strict allocation it needs a limit first.");
  await requireRoom(trx, master, before.monthlyLimit, before.id, clock);
}

async function revokeAll(trx: Db, id: SubaccountId, now: Date): Promise<void> {
  const revoked = { revoked_at: now };
  await trx
    .updateTable("credential")
    .set(revoked)
    .where("subaccount_id", "=", id)
    .where("revoked_at", "is", null)
    .execute();
  await trx
    .updateTable("api_key")
    .set(revoked)
    .where("subaccount_id", "=", id)
    .where("revoked_at", "is", null)
    .execute();
}

async function tellSubaccount(
  trx: Db,
  principal: Principal,
  action: Action,
  before: Subaccount,
  after: Subaccount,
  clock: Clock,
): Promise<void> {
  const { id: subaccountId, masterId } = after;
  const what = { action: `subaccount.${done[action]}`, target: formatId("sub", subaccountId) };
  const states = { before: statesToRecord(before), after: statesToRecord(after) };
  await record(trx, { principal, ...what, ...states, masterId, subaccountId }, clock);
  const data = { from: before.state, to: after.state };
  await emit(trx, { type: "subaccount.state_changed", masterId, subaccountId, at: clock.now(), data }, clock);
}

function statesToRecord(account: Subaccount): Record<string, unknown> {
  const { ownState, suspendedAt, publicMessage } = account;
  return { state: ownState, suspended_at: suspendedAt, public_message: publicMessage };
}

/** For the operator. @throws Fault not-found, forbidden, conflict when illegal, precondition */
export async function transitionMaster(
  db: Db,
  principal: Principal,
  id: MasterId,
  action: Action,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Master> {
  requireOperator(principal);
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await findMaster(trx, principal, id, clock, "change");
    requireVersion(before, options.version);
    const change = masterChangeOf(before, action, clock.now());
    if (change === "none") return before;
    await trx
      .updateTable("master")
      .set((eb) => ({ ...change, updated_at: clock.now(), version: eb("version", "+", 1) }))
      .where("id", "=", id)
      .execute();
    const after = await findMaster(trx, principal, id, clock);
    await tellMaster(trx, principal, action, before, after, clock);
    return after;
  });
}

type MasterColumns = Readonly<{ state: "active" | "closed"; closed_at: Date | null } | { suspended_at: Date | null }>;

function masterChangeOf(master: Master, action: Action, now: Date): MasterColumns | "none" {
  if (action === "suspend") return master.suspendedAt === null ? { suspended_at: now } : "none";
  if (action === "resume") return master.suspendedAt === null ? "none" : { suspended_at: null };
  const move = masterMoves[action]?.[master.ownState];
  if (move === undefined) throw new Fault("conflict", `A master can't be ${done[action]}.`);
  if (move === "stays") return "none";
  return move === "closed" ? { state: "closed", closed_at: now } : { state: "active", closed_at: null };
}

async function tellMaster(trx: Db, principal: Principal, action: Action, before: Master, after: Master, clock: Clock) {
  const { id: masterId } = after;
  const what = { action: `master.${done[action]}`, target: formatId("mas", masterId) };
  const states = {
    before: { state: before.ownState, suspended_at: before.suspendedAt },
    after: { state: after.ownState, suspended_at: after.suspendedAt },
  };
  await record(trx, { principal, ...what, ...states, masterId, subaccountId: null }, clock);
  const data = { from: before.state, to: after.state };
  await emit(trx, { type: "master.state_changed", masterId, at: clock.now(), data }, clock);
}
