/**
 * What people may do with queued mail: try again now, cancel, hold a tenant's queue and let it go.
 *
 * Invariant: a message in a worker's hands is not cancelled under it. Cancelling sends no report and gives nothing back.
 */
import { sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { type Members, record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { formatId, type MasterId, type MessageId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";

type Held = { subaccount_id: SubaccountId; master_id: MasterId; leased: boolean; due_at: Date };

/** Makes a waiting message due now. Repeating it is harmless. */
export async function retryMessage(db: Db, principal: Principal, id: MessageId, clock: Clock): Promise<void> {
  await inTransaction(db, async (trx) => {
    const row = await lockQueued(trx, principal, id);
    if (row.leased) return;
    await sql`update queue set due_at = pm_now(), owner = null where message_id = ${id}`.execute(trx);
    const done = { action: "message.retried", before: { due_at: row.due_at }, after: { due_at: clock.now() } };
    await note(trx, principal, id, row, done, clock);
  });
}

/** Ends the open recipients of a waiting message. */
export async function cancelMessage(db: Db, principal: Principal, id: MessageId, clock: Clock): Promise<void> {
  await inTransaction(db, async (trx) => {
    const row = await lockQueued(trx, principal, id);
    if (row.leased) throw new Fault("conflict", "The message is being delivered right now. Try again in a minute.");
    await sql`update recipient set state = 'cancelled', settled_at = pm_now()
               where message_id = ${id} and state in ('queued', 'deferred')`.execute(trx);
    await sql`delete from queue where message_id = ${id}`.execute(trx);
    const done = { action: "message.cancelled", before: { state: "queued" }, after: { state: "cancelled" } };
    await note(trx, principal, id, row, done, clock);
  });
}

async function lockQueued(trx: Db, principal: Principal, id: MessageId): Promise<Held> {
  const { masterId, subaccountId } = reachOf(principal);
  const { rows } = await sql<Held>`
    select q.subaccount_id, m.master_id, q.due_at, (q.owner is not null and q.due_at > pm_now()) as leased
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

type Done = Readonly<{ action: string; before: Members; after: Members }>;

async function note(trx: Db, principal: Principal, id: MessageId, row: Held, done: Done, clock: Clock): Promise<void> {
  const { master_id: masterId, subaccount_id: subaccountId } = row;
  await record(trx, { principal, target: formatId("msg", id), ...done, masterId, subaccountId }, clock);
}

/** Accepting goes on, delivery waits; the queue's lifetime runs on. Operators only. Repeating it changes nothing. */
export function holdQueue(db: Db, principal: Principal, subaccountId: SubaccountId, clock: Clock): Promise<void> {
  return changeHold(db, principal, subaccountId, true, clock);
}

/** Lets a held tenant's mail go, unless it is held for another cause too. */
export function releaseQueue(db: Db, principal: Principal, subaccountId: SubaccountId, clock: Clock): Promise<void> {
  return changeHold(db, principal, subaccountId, false, clock);
}

/** The operator's own hold, beside those that something else has made. */
const BY_HAND = "operator";

/** As holdQueue, for a cause of its own: only that lifts it again. Whoever calls has asked who may, and audits. */
export async function holdFor(trx: Db, subaccountId: SubaccountId, cause: string): Promise<void> {
  await sql`insert into hold (subaccount_id, cause, held_at) values (${subaccountId}, ${cause}, pm_now())
    on conflict do nothing`.execute(trx);
}

/** Other causes go on holding it. */
export async function releaseFor(trx: Db, subaccountId: SubaccountId, cause: string): Promise<void> {
  await sql`delete from hold where subaccount_id = ${subaccountId} and cause = ${cause}`.execute(trx);
}

/** For whatever cause. */
export async function isHeld(db: Db, subaccountId: SubaccountId): Promise<boolean> {
  const { rows } = await sql`select from hold where subaccount_id = ${subaccountId} limit 1`.execute(db);
  return rows.length > 0;
}

async function changeHold(
  db: Db,
  principal: Principal,
  subaccountId: SubaccountId,
  held: boolean,
  clock: Clock,
): Promise<void> {
  if (principal.kind !== "operator") throw new Fault("forbidden", "Only the operator may hold a queue.");
  await inTransaction(db, async (trx) => {
    const found = trx.selectFrom("subaccount").select("master_id").where("id", "=", subaccountId);
    const account = await found.executeTakeFirst();
    if (account === undefined) throw notFound("subaccount");
    const { numAffectedRows } = held
      ? await sql`insert into hold (subaccount_id, cause, held_at) values (${subaccountId}, ${BY_HAND}, pm_now())
                  on conflict do nothing`.execute(trx)
      : await sql`delete from hold where subaccount_id = ${subaccountId} and cause = ${BY_HAND}`.execute(trx);
    if (numAffectedRows !== 1n) return;
    const done: Done = { action: held ? "queue.held" : "queue.released", before: { held: !held }, after: { held } };
    const of = { masterId: account.master_id, subaccountId };
    await record(trx, { principal, target: formatId("sub", subaccountId), ...done, ...of }, clock);
  });
}
