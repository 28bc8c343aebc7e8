/** How old the oldest snapshot of this database is. An old one keeps dead rows alive and makes every hot table slow. */
import { sql } from "kysely";
import type { Db } from "./database.ts";

/** Seconds; 0 when no transaction is open. */
export async function oldestSnapshotSeconds(db: Db): Promise<number> {
  const { rows } = await sql<{ seconds: number | null }>`
    select extract(epoch from clock_timestamp() - min(xact_start))::float8 as seconds from pg_stat_activity
     where datname = current_database() and backend_xmin is not null and pid <> pg_backend_pid()`.execute(db);
  return Math.max(0, rows[0]?.seconds ?? 0);
}
