/**
 * Takes letters of ours to these addresses out of the spool and out of what is known of their fate.
 *
 * Invariant: a letter in a worker's hands is left to him; whoever calls comes again.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { type MasterId, type MessageId, PLATFORM } from "../platform/ids.ts";
import { eraseContents, withdrawQueued } from "../spool/erase.ts";

/** @param addresses in lower case. Returns how many letters are being delivered right now, and stay. */
export async function eraseLetters(trx: Db, masterId: MasterId, addresses: readonly string[]): Promise<number> {
  if (addresses.length === 0) return 0;
  const gone = sql`${[...addresses]}::text[]`;
  const { rows } = await sql<{ id: MessageId }>`
    select message_id as id from letter
     where master_id in (${masterId}, ${PLATFORM}) and exists (select from unnest(recipients) r where lower(r) = any(${gone}))
     order by message_id for update`.execute(trx);
  const ids = rows.map(({ id }) => id);
  const inHands = await withdrawQueued(trx, ids);
  const erased = ids.filter((id) => !inHands.includes(id));
  await eraseContents(trx, erased);
  await sql`update letter set settled_at = coalesce(settled_at, pm_now()),
      recipients = array(select case when lower(r) = any(${gone}) then '' else r end from unnest(recipients) with ordinality u (r, n) order by n)
    where message_id = any(${erased}::uuid[])`.execute(trx);
  await sql`delete from undeliverable_email where master_id = ${masterId} and email = any(${gone})`.execute(trx);
  return inHands.length;
}
