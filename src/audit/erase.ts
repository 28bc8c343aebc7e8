/** Takes texts out of the audit log of an erased account: who did what and when, and its figures stay. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { AuditId, MasterId, SubaccountId } from "../platform/ids.ts";

/** Entries after that id; at most `limit`. Returns their ids, ascending. */
export async function eraseEntries(
  trx: Db,
  subaccountId: SubaccountId,
  after: string,
  limit: number,
): Promise<AuditId[]> {
  const { rows } = await sql<{ id: AuditId }>`
    with page as (
      select id from audit_entry where subaccount_id = ${subaccountId} and id > ${after}::uuid order by id limit ${limit}
    ), erased as (
      update audit_entry e set before = figures_of(e.before), after = figures_of(e.after) from page p where e.id = p.id
    )
    select id from page order by id`.execute(trx);
  return rows.map(({ id }) => id);
}

/** Entries of a master about these targets that name no account: those that the account was not to see. */
export async function eraseEntriesAbout(
  trx: Db,
  masterId: MasterId,
  targets: readonly string[],
  since: Date,
): Promise<void> {
  await sql`update audit_entry set before = figures_of(before), after = figures_of(after)
    where master_id = ${masterId} and id >= uuid_at(${since}) and subaccount_id is null and target = any(${[...targets]}::text[])`.execute(
    trx,
  );
}
