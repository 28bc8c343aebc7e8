/**
 * What people may do with queued mail: try again now, cancel, hold a tenant's queue and let it go.
 *
 * Invariant: a message in a worker's hands is not cancelled under it. Cancelling sends no report and gives nothing back.
 */
import { sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { formatId, type MasterId, type MessageId, type SubaccountId } from "../platform/ids.ts";

type Held = { subaccount_id: SubaccountId; master_id: MasterId; leased: boolean };

/** Makes a waiting message due now. Repeating it is harmless. */
export async function retryMessage(db: Db, principal: Principal, id: MessageId, clock: Clock): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const row = await lockQueued(trx, principal, id);
    if (row.leased) return;
    await sql`update queue set due_at = pm_now(), owner = null where message_id = ${id}`.execute(trx);
    await note(trx, principal, "message.retried", id, row, clock);
  });
}

/** Ends the open recipients of a waiting message. */
export async function cancelMessage(db: Db, principal: Principal, id: MessageId, clock: Clock): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const row = await lockQueued(trx, principal, id);
    if (row.leased) throw new Fault("conflict", "The message is being delivered right now. Try again in a minute.");
    await sql`update recipient set state = 'cancelled', settled_at = pm_now()
               where message_id = ${id} and state in ('queued', 'deferred')`.execute(trx);
    await sql`delete from queue where message_id = ${id}`.execute(trx);
    await note(trx, principal, "message.cancelled", id, row, clock);
  });
}

async function lockQueued(trx: Db, principal: Principal, id: MessageId): Promise<Held> {
  const { masterId, subaccountId } = reachOf(principal);
  const { rows } = await sql<Held>`
    select q.subaccount_id, m.master_id, (q.owner is not null and q.due_at > pm_now()) as leased
      from queue q join message m on m.id = q.message_id
     where q.message_id = ${id} and m.kind = 'submitted'
       and (${masterId}::uuid is null or m.master_id = ${masterId}) and (${subaccountId}::uuid is null or m.subaccount_id = ${subaccountId})
       for update of q`.execute(trx);
  const [row] = rows;
  if (row !== undefined) return row;
  const known = await sql`select from message where id = ${id} and kind = 'submitted'
    and (${masterId}::uuid is null or master_id = ${masterId}) and (${subaccountId}::uuid is null or subaccount_id = ${subaccountId})`.execute(
    trx,
  );
  if (known.rows.length === 0) throw notFound("message");
  throw new Fault("conflict", "Nothing of this message is queued any more.");
}

async function note(
  trx: Db,
  principal: Principal,
  action: string,
  id: MessageId,
  row: Held,
  clock: Clock,
): Promise<void> {
  const target = formatId("msg", id);
  const { master_id: masterId, subaccount_id: subaccountId } = row;
  await record(trx, { principal, action, target, before: null, after: null, masterId, subaccountId }, clock);
}

/** Accepting goes on, delivery waits; the queue's lifetime runs on. */
export async function holdQueue(trx: Db, subaccountId: SubaccountId, reason: "operator" | "suspended"): Promise<void> {
  await sql`insert into hold (subaccount_id, reason, held_at) values (${subaccountId}, ${reason}, pm_now())
            on conflict do nothing`.execute(trx);
}

export async function releaseQueue(trx: Db, subaccountId: SubaccountId): Promise<void> {
  await sql`delete from hold where subaccount_id = ${subaccountId}`.execute(trx);
}
