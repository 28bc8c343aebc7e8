/**
 * The job `sync_usage` ({master_id}): usage rows of subaccounts that follow their master's alert thresholds.
 *
 * Invariant: each statement locks its rows in the order of their ids and commits alone; repeating it changes nothing.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";

const PAGE = 200;

export async function syncUsage(db: Db, payload: unknown): Promise<void> {
  const { master_id: masterId } = payload as { master_id: MasterId };
  let after: SubaccountId | null = null;
  for (;;) {
    const rows: { id: SubaccountId }[] = await syncPage(db, masterId, after);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.id;
  }
}

async function syncPage(db: Db, masterId: MasterId, after: SubaccountId | null): Promise<{ id: SubaccountId }[]> {
  const { rows } = await sql<{ id: SubaccountId }>`
    select s.id, sync_usage(s.id) from
      (select id from subaccount where master_id = ${masterId} and alert_thresholds is null
          and (${after}::uuid is null or id > ${after}) order by id limit ${sql.lit(PAGE)}) s order by s.id`.execute(
    db,
  );
  return rows;
}
