/** Takes out counts of refusals that no shown period needs any more. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";

/** Two of the longest periods: the running one and the one before show what was refused. */
const LEAST_MS = 62 * 86_400_000;
const BATCH = 10_000;

/** Refusals older than `retentionMs`, at least two months. In batches, by key. Returns how many rows went. */
export async function forgetRefusals(db: Db, retentionMs: number): Promise<number> {
  const seconds = Math.max(LEAST_MS, retentionMs) / 1000;
  for (let gone = 0; ; ) {
    const { numAffectedRows } = await sql`
      delete from refusal where id in (
        select id from refusal where id < uuid_at(pm_now() - make_interval(secs => ${seconds}::float8)) order by id limit ${BATCH})`.execute(
      db,
    );
    gone += Number(numAffectedRows ?? 0);
    if (Number(numAffectedRows ?? 0) < BATCH) return gone;
  }
}
