/** What is done about runs by the clock: those whose worker has died go on, plans that nobody starts and secrets that nobody takes are forgotten. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { BulkRunId } from "../platform/ids.ts";
import { addRunJob } from "./start.ts";

/** A worker writes for each item. Whoever is only slow is not disturbed: the lock on the run is his. */
export async function reviveRuns(db: Db): Promise<number> {
  const { rows } = await sql<{ id: BulkRunId }>`
    select id from bulk_run where state = 'running' and touched_at < pm_now() - interval '1 minute'`.execute(db);
  for (const { id } of rows) await addRunJob(db, id);
  return rows.length;
}

/** Uploads that were broken off, previews after a day, what has ended after a month; secrets after a day, or once taken. */
export async function forgetRuns(db: Db): Promise<void> {
  await sql`delete from bulk_run where (state = 'receiving' and touched_at < pm_now() - interval '1 hour')
    or (state = 'previewed' and touched_at < pm_now() - interval '1 day')
    or (state in ('done', 'stopped') and finished_at < pm_now() - interval '30 days')`.execute(db);
  await sql`update bulk_item i set secret = null from bulk_run r where r.id = i.run_id and i.secret is not null
    and (r.finished_at < pm_now() - interval '1 day' or r.secrets_taken_at < pm_now() - interval '1 hour')`.execute(db);
}
