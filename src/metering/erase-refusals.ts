/** Takes out who was refused: the samples. How many were refused, and why, stays. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { EventId, SubaccountId } from "../platform/ids.ts";

/** Of an account, after that id; at most `limit`. Returns their ids, ascending. */
export async function eraseRefusals(
  trx: Db,
  subaccountId: SubaccountId,
  after: string,
  limit: number,
): Promise<EventId[]> {
  const { rows } = await sql<{ id: EventId }>`
    with page as (
      select id from refusal where subaccount_id = ${subaccountId} and id > ${after}::uuid order by id limit ${limit}
    ), erased as (
      update refusal r set sample = null from page p where r.id = p.id
    )
    select id from page order by id`.execute(trx);
  return rows.map(({ id }) => id);
}
