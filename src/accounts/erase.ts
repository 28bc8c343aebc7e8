/**
 * What an erased account says of its owner goes, and all that logs in as it.
 *
 * Invariant: from the first instant of its erasure it is never opened again. Name, slug and external id stay: statements show
 * the account by them, and its master finds it by them.
 */
import { sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";

/** Of an account that the caller has locked. */
export async function markErased(trx: Db, id: SubaccountId, clock: Clock): Promise<void> {
  await trx
    .updateTable("subaccount")
    .set((eb) => ({
      erased_at: eb.fn.coalesce("erased_at", eb.val(clock.now())),
      updated_at: clock.now(),
      version: eb("version", "+", 1),
    }))
    .where("id", "=", id)
    .execute();
}

/** Its personal members and its log-ins. `purged`: for good, by the operator. */
export async function eraseAccount(trx: Db, id: SubaccountId, purged: boolean, clock: Clock): Promise<void> {
  const now = clock.now();
  await trx
    .updateTable("subaccount")
    .set((eb) => ({
      owner_name: null,
      owner_email: null,
      notification_emails: null,
      notes: null,
      metadata: "{}",
      public_message: null,
      ...(purged ? { purged_at: eb.fn.coalesce("purged_at", eb.val(now)) } : {}),
      updated_at: now,
      version: eb("version", "+", 1),
    }))
    .where("id", "=", id)
    .execute();
  await sql`update credential set revoked_at = coalesce(revoked_at, ${now}), name = null where subaccount_id = ${id}`.execute(
    trx,
  );
  await sql`update api_key set revoked_at = coalesce(revoked_at, ${now}), name = 'erased', networks = '{}'
    where subaccount_id = ${id}`.execute(trx);
  await trx.deleteFrom("lockout").where("subaccount_id", "=", id).execute();
}

/** Where the account's owner was written to, and no other account of its master is. Lower case. */
export async function addressesOfAccount(db: Db, id: SubaccountId): Promise<string[]> {
  const { rows } = await sql<{ email: string }>`
    select distinct e.email from subaccount s, lateral (
      select addresses_in(s.notification_emails) as email union select lower(s.owner_email)) e
     where s.id = ${id} and e.email is not null`.execute(db);
  return rows.map(({ email }) => email);
}

/** Those of these addresses (lower case) that the master or another of its accounts has too. */
export async function stillUsed(
  db: Db,
  of: Readonly<{ masterId: MasterId; but: SubaccountId }>,
  addresses: readonly string[],
): Promise<string[]> {
  const wanted = sql`${[...addresses]}::text[]`;
  const { rows } = await sql<{ email: string }>`
    select e.email from subaccount s, lateral (
      select addresses_in(s.notification_emails) as email union select lower(s.owner_email)) e
     where s.master_id = ${of.masterId} and s.id <> ${of.but} and e.email = any(${wanted})
    union select e from master m, addresses_in(m.notification_emails) e where m.id = ${of.masterId} and e = any(${wanted})`.execute(
    db,
  );
  return rows.map(({ email }) => email);
}
