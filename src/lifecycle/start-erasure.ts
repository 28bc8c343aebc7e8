/**
 * Erasing a closed account, and purging one that has been closed for long: the job `erase` does it.
 *
 * Invariant: an erasure begins under the lock on the account, when nothing of it is queued and nobody else's business is open;
 * from that commit on the account is never opened again, so that what is taken out never meets what comes in. Of an account
 * one erasure runs at a time: asking again answers with it.
 * On failure: nothing has begun.
 */
import type { Subaccount } from "../accounts/account.ts";
import { markErased } from "../accounts/erase.ts";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { requireChange, requireMasterChange, requireOperator } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type ErasureId, formatId, newId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { hasOpenReview } from "../reviews/erase.ts";
import { countQueued } from "../spool/erase.ts";
import { type Contents, countContents } from "./contents.ts";
import { addErasureJob, type Erasure, erasureMembers, erasureOf } from "./erasure.ts";

/** @throws Fault not-found, forbidden, conflict that says what still waits */
export async function eraseSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  clock: Clock,
): Promise<Erasure> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, ref, clock, "change");
    await requireErasable(trx, principal, subaccount);
    return begin(trx, principal, subaccount, false, clock);
  });
}

export type Purge = Readonly<{
  /** Only say what would go. */
  dryRun: boolean;
  /** How long closed accounts are kept. */
  retentionMs: number;
}>;

/** What would go, or the erasure that has begun: its job counts. */
export type Purged = Readonly<{ contents: Contents; erasure: null } | { contents: null; erasure: Erasure }>;

/** For the operator. @throws as eraseSubaccount, and conflict for one that was closed too lately */
export async function purgeSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  { dryRun, retentionMs }: Purge,
  clock: Clock,
): Promise<Purged> {
  requireOperator(principal);
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, ref, clock, dryRun ? "read" : "change");
    await requireErasable(trx, principal, subaccount);
    requireOld(subaccount, retentionMs, clock.now());
    if (dryRun) return { contents: await countContents(trx, subaccount.id), erasure: null };
    return { contents: null, erasure: await begin(trx, principal, subaccount, true, clock) };
  });
}

async function requireErasable(trx: Db, principal: Principal, { id, own, ownState, suspendedAt }: Subaccount) {
  if (own) throw new Fault("conflict", "The master's own subaccount can't be erased.");
  if (ownState !== "closed" && ownState !== "archived") {
    throw new Fault("conflict", `A subaccount that is ${ownState} can't be erased: close it first.`);
  }
  const queued = await countQueued(trx, id);
  if (queued > 0) {
    const what = queued === 1 ? "1 message still waits" : `${queued} messages still wait`;
    throw new Fault("conflict", `${what} for delivery: let the queue run empty, or cancel what is in it.`);
  }
  if (await hasOpenTransfer(trx, id)) {
    throw new Fault("conflict", "A transfer of this account is open: withdraw or decline it first.");
  }
  if (await hasOpenReview(trx, id)) {
    throw new Fault("conflict", "The operator's query on this account is open: it has to be closed first.");
  }
  if (suspendedAt !== null && principal.kind !== "operator" && !principal.operator) {
    throw new Fault("conflict", "The operator has suspended this account: only the operator may erase it.");
  }
}

async function hasOpenTransfer(trx: Db, id: Subaccount["id"]): Promise<boolean> {
  const query = trx.selectFrom("transfer").select("id").where("subaccount_id", "=", id);
  const open = query.where("state", "in", ["offered", "accepted"]).where("expires_at", ">", (eb) => eb.fn("pm_now"));
  return (await open.executeTakeFirst()) !== undefined;
}

function requireOld({ closedAt }: Subaccount, retentionMs: number, now: Date): void {
  const from = closedAt === null ? null : new Date(closedAt.getTime() + retentionMs);
  if (from !== null && from <= now) return;
  const until = from === null ? "" : ` until ${from.toISOString()}`;
  throw new Fault("conflict", `Closed accounts are kept for a while: this one${until}. An erase does not wait for it.`);
}

async function begin(trx: Db, principal: Principal, subaccount: Subaccount, purge: boolean, clock: Clock) {
  const { id: subaccountId, masterId } = subaccount;
  const now = clock.now();
  const running = trx.selectFrom("erasure").selectAll().where("subaccount_id", "=", subaccountId);
  const before = await running.where("state", "=", "running").forUpdate().executeTakeFirst();
  if (before !== undefined && (before.purge || !purge)) return erasureOf(before);
  const query =
    before === undefined
      ? trx.insertInto("erasure").values({
          id: newId<ErasureId>(clock),
          master_id: masterId,
          subaccount_id: subaccountId,
          asked_by: JSON.stringify(principal),
          purge,
          created_at: now,
          touched_at: now,
        })
      : trx.updateTable("erasure").set({ purge }).where("id", "=", before.id);
  const erasure = erasureOf(await query.returningAll().executeTakeFirstOrThrow());
  if (before === undefined) await markErased(trx, subaccountId, clock);
  const action = purge ? "subaccount.purge_started" : "subaccount.erase_started";
  const change = { action, target: formatId("sub", subaccountId), before: null, after: erasureMembers(erasure) };
  await record(trx, { principal, ...change, masterId, subaccountId }, clock);
  await addErasureJob(trx, erasure.id);
  return erasure;
}
