/** Takes texts out of events: that something happened, when, and its figures stay. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { EventId, MasterId, SubaccountId } from "../platform/ids.ts";

/** Of an account, after that id; at most `limit`. Returns their ids, ascending. */
export async function eraseEvents(
  trx: Db,
  subaccountId: SubaccountId,
  after: string,
  limit: number,
): Promise<EventId[]> {
  const { rows } = await sql<{ id: EventId }>`
    select id from event where subaccount_id = ${subaccountId} and id > ${after}::uuid order by id limit ${limit}`.execute(
    trx,
  );
  const ids = rows.map(({ id }) => id);
  await sql`update event set data = figures_of(data)
    where id between ${ids[0] ?? null}::uuid and ${ids.at(-1) ?? null}::uuid and id = any(${ids}::uuid[])`.execute(trx);
  return ids;
}

/** Of the master's own: what says that letters to these addresses came back. */
export async function eraseBounces(trx: Db, masterId: MasterId, addresses: readonly string[]): Promise<void> {
  await sql`update event set data = figures_of(data) where master_id = ${masterId} and type = 'notification.bounced'
    and type <> 'message.delivered' and lower(data ->> 'email') = any(${[...addresses]}::text[])`.execute(trx);
}
