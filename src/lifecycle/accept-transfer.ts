/**
 * Taking over an account that was offered.
 *
 * Invariant: a transfer is taken once, under the lock on its row, in the transaction that moves the account; of many who bring its
 * token at once one gets it. An account that is to stand alone, or to be renewed as its own, moves when the operator has set the
 * terms, since from then on he is who is owed.
 * On failure: the account stays where it was, and the offer open.
 */

import type { Master, Subaccount } from "../accounts/account.ts";
import { lockAllowance, requireLimit } from "../accounts/allocation.ts";
import { createMaster } from "../accounts/create-master.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { NewApiKey } from "../accounts/keys.ts";
import { type Arrival, moveAccount } from "../accounts/move-account.ts";
import { requireChange } from "../accounts/permit.ts";
import type { Operator, Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { forgetBrand } from "../branding/forget.ts";
import { moveDomains } from "../domains/move-domains.ts";
import { emit } from "../events/emit.ts";
import { moveMembers } from "../people/move-members.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { formatId, type SubaccountId, type TransferId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { requireLeave } from "./leave.ts";
import { noteTransfer } from "./offer-transfer.ts";
import { selectTransfers, type Transfer, transferOf } from "./transfer.ts";

/** Its id for who is named in it, or the token. */
export type TransferRef = Readonly<{ id: TransferId } | { token: string }>;

/** What the new master calls the account, and its limit there; null: bounded by the master only. */
export type Terms = Readonly<{ name?: string | undefined; monthlyLimit?: number | null | undefined }>;

/** Everything is looked up for the transfer, by its own ids. */
const house: Operator = { kind: "operator", via: "key" };

/** @throws Fault not-found, forbidden, invalid at /monthly_limit, conflict when it is no longer offered or can't move */
export async function acceptTransfer(
  db: Db,
  principal: Principal,
  ref: TransferRef,
  terms: Terms,
  keyring: Keyring,
  clock: Clock,
): Promise<Transfer> {
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await lockTransfer(trx, principal, ref, keyring, clock);
    requireTaker(principal, before);
    if (before.state !== "offered") throw new Fault("conflict", `The transfer is ${before.state}.`);
    if (before.kind !== "move") return settle(trx, principal, before, { state: "accepted" }, clock);
    if (principal.kind !== "master") throw notFound("transfer");
    await lockMasters(trx, [before.fromMasterId, principal.masterId], clock);
    const master = await lockAllowance(trx, principal, undefined, clock);
    if (master.state !== "active") throw new Fault("conflict", `The master account is ${master.state}.`);
    const subaccount = await findSubaccount(trx, house, before.subaccountId, clock, "change");
    const { name = subaccount.ownerName ?? subaccount.slug, monthlyLimit } = terms;
    if (monthlyLimit === undefined) throw invalid("/monthly_limit", "Say how much it may send under you.");
    await requireLimit(trx, master, monthlyLimit, null, clock);
    const movedTo = await move(trx, principal, subaccount, { master, name, monthlyLimit }, clock);
    return settle(trx, principal, before, { state: "done", movedTo, toMasterId: master.id }, clock);
  });
}

/** What the operator agrees on with the new master. */
export type Approval = Readonly<{
  /** Units per period; null: unlimited. */
  allowance: number | null;
  overage?: "block" | "bill" | undefined;
  name?: string | undefined;
  /** The owner's where it is left out. */
  notificationEmails?: readonly string[] | undefined;
}>;

export type Approved = Readonly<{ transfer: Transfer; master: Master; apiKey: NewApiKey }>;

/** The account becomes the own subaccount of a new master. @throws Fault forbidden, not-found, invalid, conflict */
export async function approveTransfer(
  db: Db,
  principal: Principal,
  id: TransferId,
  approval: Approval,
  keyring: Keyring,
  clock: Clock,
): Promise<Approved> {
  if (principal.kind !== "operator") throw new Fault("forbidden", "Only the operator may do this.");
  return inTransaction(db, async (trx) => {
    const before = await lockTransfer(trx, principal, { id }, keyring, clock);
    if (before.kind === "move" || before.state !== "accepted") {
      throw new Fault("conflict", `There is nothing to approve: the transfer is ${before.state}.`);
    }
    await lockMasters(trx, [before.fromMasterId], clock);
    const subaccount = await findSubaccount(trx, house, before.subaccountId, clock, "change");
    const name = approval.name ?? subaccount.ownerName ?? subaccount.slug;
    const input = { name, allowance: approval.allowance, overage: approval.overage };
    const notificationEmails = approval.notificationEmails ?? (subaccount.ownerEmail ? [subaccount.ownerEmail] : []);
    const { master, apiKey } = await createMaster(trx, principal, { ...input, notificationEmails }, keyring, clock);
    const arrival = { master, name, monthlyLimit: null, asOwn: true } as const;
    const movedTo = await move(trx, principal, subaccount, arrival, clock);
    const done = { state: "done", movedTo, toMasterId: master.id } as const;
    return { transfer: await settle(trx, principal, before, done, clock), master, apiKey };
  });
}

async function lockTransfer(trx: Db, principal: Principal, ref: TransferRef, keyring: Keyring, clock: Clock) {
  const query =
    "id" in ref
      ? selectTransfers(trx, principal).where("t.id", "=", ref.id)
      : selectTransfers(trx, house).where("t.token_hash", "=", keyring.hash(ref.token));
  const row = await query.forUpdate("t").executeTakeFirst();
  if (row === undefined) throw notFound("transfer");
  return transferOf(row, clock.now());
}

/** The other side of the offer. @throws Fault not-found for a stranger, also for one with a token, and forbidden for the offerer */
function requireTaker(principal: Principal, { kind, offeredBy, ...transfer }: Transfer): void {
  if (principal.kind === "operator") throw new Fault("forbidden", "Act for the side that takes it: Postmeter-Account.");
  const mine = principal.kind === "master" ? principal.masterId === transfer.fromMasterId : undefined;
  if (kind === "move") {
    if (mine) throw new Fault("forbidden", "The other side accepts.");
    const taker = principal.kind === "master" ? (transfer.toMasterId ?? principal.masterId) : null;
    if (taker === null || taker !== principal.masterId) throw notFound("transfer");
  } else if (principal.kind === "subaccount") {
    if (principal.subaccountId !== transfer.subaccountId) throw notFound("transfer");
    if (offeredBy === "subaccount") throw new Fault("forbidden", "The other side accepts.");
  } else {
    if (!mine) throw notFound("transfer");
    if (offeredBy === "master") throw new Fault("forbidden", "The other side accepts.");
  }
}

/** In ascending order, so that two transfers between the same masters don't wait in a circle. */
async function lockMasters(trx: Db, ids: readonly Transfer["fromMasterId"][], clock: Clock): Promise<void> {
  for (const id of [...new Set(ids)].sort()) await findMaster(trx, house, id, clock, "change");
}

async function move(
  trx: Db,
  principal: Principal,
  before: Subaccount,
  to: Arrival,
  clock: Clock,
): Promise<SubaccountId> {
  await requireLeave(trx, principal, before);
  const id = await moveAccount(trx, before, to, clock);
  await forgetBrand(trx, principal, { masterId: before.masterId, subaccountId: before.id }, clock);
  await moveDomains(trx, before.id, { masterId: to.master.id, subaccountId: id });
  await moveMembers(trx, before.id, to.asOwn ? { master: to.master.id } : id);
  const sides = [
    { masterId: before.masterId, subaccountId: before.id, data: { from: before.state, to: "archived" } },
    { masterId: to.master.id, subaccountId: id, data: { from: null, to: "active" } },
  ];
  for (const { data, ...of } of sides) {
    const target = formatId("sub", of.subaccountId);
    const change = { before: { state: data.from }, after: { state: data.to } };
    await record(trx, { principal, action: "subaccount.moved", target, ...change, ...of }, clock);
    await emit(trx, { type: "subaccount.moved", ...of, at: clock.now(), data }, clock);
  }
  return id;
}

type Settled = Readonly<Pick<Transfer, "state"> & Partial<Pick<Transfer, "movedTo" | "toMasterId">>>;

async function settle(trx: Db, principal: Principal, before: Transfer, to: Settled, clock: Clock): Promise<Transfer> {
  const settledAt = to.state === "done" ? clock.now() : null;
  const after: Transfer = { ...before, ...to, settledAt };
  const { state, movedTo: moved_to, toMasterId: to_master_id } = after;
  const columns = { state, moved_to, to_master_id, token_hash: null, settled_at: settledAt };
  await trx.updateTable("transfer").set(columns).where("id", "=", before.id).execute();
  await noteTransfer(trx, principal, `transfer.${state}`, after, before, clock);
  return after;
}
