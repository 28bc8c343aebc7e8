/**
 * Takes contents and addresses out of messages.
 *
 * Invariant: what was charged stays: the message with its units, and one row for each recipient. Nothing that still has work
 * is touched, and nothing in a worker's hands is taken out of them.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MessageId, SubaccountId } from "../platform/ids.ts";

/** Messages of the account, and reports to it, after that id; at most `limit`. Returns their ids, ascending. */
export async function eraseMessages(
  trx: Db,
  subaccountId: SubaccountId,
  after: string,
  limit: number,
): Promise<MessageId[]> {
  const of = (kind: string) => sql`(
    select m.id from message m where m.subaccount_id = ${subaccountId} and m.kind = ${sql.lit(kind)} and m.id > ${after}::uuid
       and not exists (select from queue q where q.message_id = m.id) order by m.id limit ${limit})`;
  const { rows } = await sql<{ id: MessageId }>`
    select id from (${of("submitted")} union all ${of("dsn")}) x order by id limit ${limit}`.execute(trx);
  const ids = rows.map(({ id }) => id);
  await eraseContents(trx, ids);
  return ids;
}

/** @param ids ascending: the first and the last say which days are looked into */
export async function eraseContents(trx: Db, ids: readonly MessageId[]): Promise<void> {
  const [first, last] = [ids[0], ids.at(-1)];
  if (first === undefined || last === undefined) return;
  const among = (column: string) => {
    const id = sql.ref(column);
    return sql`${id} between ${first}::uuid and ${last}::uuid and ${id} = any(${[...ids]}::uuid[])`;
  };
  await sql`delete from body where ${among("message_id")}`.execute(trx);
  await sql`update recipient set address = '', original_recipient = null, attempts = '[]' where ${among("message_id")}`.execute(
    trx,
  );
  await sql`update message set sender = '', header_from = null, header_message_id = null, subject = null, envelope_id = null
    where ${among("id")}`.execute(trx);
}

/** Cancels what of them still waits. Returns those that a worker has in its hands: they can't be cancelled now. */
export async function withdrawQueued(trx: Db, ids: readonly MessageId[]): Promise<MessageId[]> {
  const { rows } = await sql<{ id: MessageId; leased: boolean }>`
    select message_id as id, owner is not null and due_at > pm_now() as leased
      from queue where message_id = any(${[...ids]}::uuid[]) order by message_id for update`.execute(trx);
  const waiting = rows.flatMap(({ id, leased }) => (leased ? [] : [id]));
  await sql`update recipient set state = 'cancelled', settled_at = pm_now()
    where message_id = any(${waiting}::uuid[]) and state in ('queued', 'deferred')`.execute(trx);
  await sql`delete from queue where message_id = any(${waiting}::uuid[])`.execute(trx);
  return rows.flatMap(({ id, leased }) => (leased ? [id] : []));
}

/** Messages of the account that still have work, and reports to it. */
export async function countQueued(db: Db, subaccountId: SubaccountId): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from queue where subaccount_id = ${subaccountId}`.execute(db);
  return rows[0]?.n ?? 0;
}

/** Of messages in doubt, whose senders may still ask for them: nobody can any more. */
export async function forgetDoubts(trx: Db, subaccountId: SubaccountId): Promise<void> {
  await sql`delete from in_doubt where subaccount_id = ${subaccountId}`.execute(trx);
}
