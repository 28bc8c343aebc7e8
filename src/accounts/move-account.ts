/**
 * A subaccount goes to another master, with its owner, its credentials and its keys.
 *
 * Invariant: what arrives is a new subaccount that starts at zero; the old one is put away for good in the same transaction, so
 * that after its commit nothing is charged to the old master on any node: its usage rows have closed (trigger, at commit), and
 * acceptance reads those under locks. No row of the past changes its owner. What was the old master's own (name, notes, metadata,
 * external id, plan, addresses that it had chosen) stays with it.
 * On failure: nothing has moved.
 */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import type { Master, Subaccount } from "./account.ts";
import { insertWithSlug, otherSlug } from "./slug.ts";

/** @throws Fault conflict when it can't leave */
export function requireMovable(subaccount: Subaccount): void {
  const { own, state, suspendedAt, movedTo, erasedAt, sandbox } = subaccount;
  if (sandbox) throw new Fault("conflict", "A sandbox stays with its master.");
  if (own) throw new Fault("conflict", "The master's own subaccount can't leave it.");
  if (movedTo !== null) throw new Fault("conflict", "The account has moved already.");
  if (erasedAt !== null) throw new Fault("conflict", "What was in the account is erased: it stays closed.");
  if (suspendedAt !== null || state === "suspended") throw new Fault("conflict", "A suspended account can't move.");
}

export type Arrival = Readonly<{
  master: Master;
  name: string;
  /** Units per period; null: bounded by the master only. */
  monthlyLimit: number | null;
  /** It becomes the master's own subaccount, which is there already. */
  asOwn?: true;
}>;

/** Of an account that the caller has locked. Returns the id of what it has become. */
export async function moveAccount(trx: Db, before: Subaccount, to: Arrival, clock: Clock): Promise<SubaccountId> {
  requireMovable(before);
  const id = to.asOwn ? to.master.ownSubaccountId : newId<SubaccountId>(clock);
  await putAway(trx, before, id, clock);
  const { slug, ownerName: owner_name, ownerEmail: owner_email, region, language, timeZone: time_zone } = before;
  const person = { slug, owner_name, owner_email, region, language, time_zone, moved_from: before.id };
  const now = clock.now();
  if (to.asOwn) {
    await trx.updateTable("subaccount").set(person).where("id", "=", id).execute();
  } else {
    const terms = { name: to.name, monthly_limit: to.monthlyLimit };
    await insertWithSlug(trx, { ...person, ...terms, id, master_id: to.master.id, created_at: now, updated_at: now });
  }
  await handOver(trx, before.id, { subaccount_id: id, master_id: to.master.id });
  return id;
}

async function putAway(trx: Db, before: Subaccount, movedTo: SubaccountId, clock: Clock): Promise<void> {
  const now = clock.now();
  await trx
    .updateTable("subaccount")
    .set((eb) => ({
      state: "archived",
      state_before: null,
      closed_at: before.closedAt ?? now,
      slug: otherSlug(before.slug.slice(0, 54)),
      moved_to: movedTo,
      next_plan_id: null,
      next_plan_version: null,
      next_monthly_limit: null,
      next_plan_at: null,
      updated_at: now,
      version: eb("version", "+", 1),
    }))
    .where("id", "=", before.id)
    .execute();
}

type Owner = Readonly<{ subaccount_id: SubaccountId; master_id: MasterId }>;

/** Those that are revoked, or only for the sandbox, stay where they were of use: they count there. */
async function handOver(trx: Db, from: SubaccountId, to: Owner): Promise<void> {
  const valid = (table: "credential" | "api_key") =>
    trx.updateTable(table).set(to).where("subaccount_id", "=", from).where("revoked_at", "is", null);
  await valid("credential").where("sandbox", "=", false).execute();
  await valid("api_key").execute();
}
