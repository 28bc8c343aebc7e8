/** Keeps partitions ready for the days to come; an id of a day without one can't be stored. */
import { sql } from "kysely";
import type { Db } from "./database.ts";

/** Days kept ready, from yesterday (a neighbour's clock may be a little behind midnight). */
const DAYS_AHEAD = 16;

/** Makes what is missing, by the program's clock; safe to call at any time by several processes. Returns how many were made. */
export async function ensurePartitions(db: Db, days = DAYS_AHEAD): Promise<number> {
  const { rows } = await sql<{ made: number }>`
    select ensure_partitions((pm_now() at time zone 'UTC')::date - 1, ${days}::int) as made`.execute(db);
  return rows[0]?.made ?? 0;
}
