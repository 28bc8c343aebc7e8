/**
 * Units that are added to a subaccount's running period, on top of its limit. They don't lift the master's cap.
 *
 * Invariant: the usage row has them when the call answers (the trigger on top_up writes it in the same transaction); a row
 * that is being opened waits for the lock on the subaccount, and has them too.
 * On failure: nothing is changed.
 */

import type { Subaccount } from "../accounts/account.ts";
import { lockAllowance, requireRoom } from "../accounts/allocation.ts";
import { findSubaccount } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import { type Period, periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, newId, type TopUpId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";

const MAX_UNITS = 1_000_000_000_000;
const MAX_NOTE = 500;

export type NewTopUp = Readonly<{ units: number; note?: string | null | undefined }>;
export type TopUp = Readonly<{ id: TopUpId; units: number; note: string | null; period: Period; createdAt: Date }>;

/**
 * The caller publishes the subaccount after the commit (quota/publish.ts).
 * @throws Fault invalid at /units or /note; forbidden for a subaccount; conflict for a closed one, for one without a
 * limit, and where strict allocation leaves no room
 */
export async function addTopUp(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  { units, note = null }: NewTopUp,
  clock: Clock,
): Promise<TopUp> {
  requireMasterChange(principal);
  if (!Number.isSafeInteger(units) || units < 1 || units > MAX_UNITS) {
    throw invalid("/units", `Units are a whole number from 1 to ${MAX_UNITS}.`);
  }
  if (note !== null && (note.length > MAX_NOTE || note.includes("\0"))) {
    throw invalid("/note", `A note has at most ${MAX_NOTE} characters.`);
  }
  return inTransaction(db, async (trx) => {
    const master = await lockAllowance(trx, principal, subaccount.masterId, clock);
    const locked = await findSubaccount(trx, principal, subaccount.id, clock, "change");
    if (locked.ownState === "closed" || locked.ownState === "archived") {
      throw new Fault("conflict", `The account is ${locked.ownState}: it takes no top-up.`);
    }
    if (locked.monthlyLimit === null)
      throw new Fault("conflict", "The account has no limit: there is nothing to top up.");
    await requireRoom(trx, master, units, null, clock, "/units");
    return insert(trx, principal, locked, { units, note }, clock);
  });
}

async function insert(
  trx: Db,
  principal: Principal,
  { id: subaccountId, masterId, monthlyLimit, calendar }: Subaccount,
  { units, note }: { units: number; note: string | null },
  clock: Clock,
): Promise<TopUp> {
  const createdAt = clock.now();
  const period = periodAt(calendar, createdAt);
  const id = newId<TopUpId>(clock);
  await trx
    .insertInto("top_up")
    .values({
      id,
      subaccount_id: subaccountId,
      master_id: masterId,
      period_start: period.start,
      units,
      note,
      created_at: createdAt,
    })
    .execute();
  const after = { id: formatId("top", id), units, note, period_start: period.start.toISOString() };
  await record(
    trx,
    {
      principal,
      action: "quota.topped_up",
      target: formatId("sub", subaccountId),
      before: null,
      after,
      masterId,
      subaccountId,
    },
    clock,
  );
  const data = { monthly_limit: monthlyLimit, top_up: units, period_start: period.start.toISOString() };
  await emit(trx, { type: "quota.changed", masterId, subaccountId, at: createdAt, data }, clock);
  return { id, units, note, period, createdAt };
}
