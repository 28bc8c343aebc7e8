/** What statements have read so far. */
import { sql } from "kysely";
import type { Db } from "../../src/platform/database.ts";

/** Rows that scans of `subaccount` have read; `one` has a single connection, whose counts are sent first. */
export async function subaccountRowsRead(one: Db): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(one);
  const { rows } = await sql<{ n: number }>`select (seq_tup_read + idx_tup_fetch)::bigint as n
    from pg_stat_user_tables where relname = 'subaccount'`.execute(one);
  return rows[0]?.n ?? 0;
}
