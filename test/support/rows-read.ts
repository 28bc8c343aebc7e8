/** What statements have read so far. */
import { sql } from "kysely";
import type { Db } from "../../src/platform/database.ts";

/** Rows that scans of `subaccount` have read; `one` has a single connection, whose counts are sent first. */
export function subaccountRowsRead(one: Db): Promise<number> {
  return rowsRead(one, "subaccount");
}

/** The same of all tables, or of one. */
export async function rowsRead(one: Db, table?: string): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(one);
  const { rows } = await sql<{ n: number }>`select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint as n
    from pg_stat_user_tables where ${table ?? null}::text is null or relname = ${table ?? null}`.execute(one);
  return rows[0]?.n ?? 0;
}
