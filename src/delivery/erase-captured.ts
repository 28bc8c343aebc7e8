/** Empties the built-in mailbox of an erased account. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { CapturedId, SubaccountId } from "../platform/ids.ts";

/** Its oldest mails; at most `limit`. Returns their ids, ascending. */
export async function eraseCaptured(trx: Db, subaccountId: SubaccountId, limit: number): Promise<CapturedId[]> {
  const { rows } = await sql<{ id: CapturedId }>`
    delete from captured where id in (
      select id from captured where subaccount_id = ${subaccountId} order by id limit ${limit}) returning id`.execute(
    trx,
  );
  return rows.map(({ id }) => id).sort();
}
