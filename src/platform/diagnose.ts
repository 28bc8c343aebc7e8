/** What `postmeter doctor` asks the database and Redis about themselves. */
import { sql } from "kysely";
import type { Db } from "./database.ts";
import { createLog } from "./log.ts";
import { checkRedis, openRedis, redisReady } from "./redis.ts";

/** `number`: 180004 for 18.4. `recovering`: a standby, which takes no writes. */
export type Server = Readonly<{ number: number; text: string; recovering: boolean }>;

export async function readServer(db: Db): Promise<Server> {
  const { rows } = await sql<Server>`
    select current_setting('server_version_num')::int as number, current_setting('server_version') as text,
           pg_is_in_recovery() as recovering`.execute(db);
  return rows[0]!;
}

/** For how many days to come every partitioned table is ready; below 0: today's partition is missing somewhere. */
export async function readPartitionsAhead(db: Db): Promise<number> {
  const { rows } = await sql<{ days: number | null }>`
    select min(last) - (pm_now() at time zone 'UTC')::date as days
      from (select coalesce(max(to_date(right(c.relname, 8), 'YYYYMMDD')), 'epoch') as last
              from pg_partitioned_table p left join pg_inherits i on i.inhparent = p.partrelid left join pg_class c on c.oid = i.inhrelid
             where p.partrelid in (select oid from pg_class where relnamespace = current_schema()::regnamespace)
             group by p.partrelid) x`.execute(db);
  return rows[0]?.days ?? -1;
}

/** `failed`: gave up. `waitingSeconds`: how long the oldest job that is due has been waiting. */
export type JobState = Readonly<{ due: number; waitingSeconds: number; failed: number }>;

export async function readJobState(db: Db): Promise<JobState> {
  const { rows } = await sql<JobState>`
    select count(*) filter (where run_at <= now() and locked_at is null and attempts < max_attempts) as due,
           coalesce(extract(epoch from now() - min(run_at) filter (where run_at <= now() and locked_at is null and attempts < max_attempts)), 0)::float8
             as "waitingSeconds",
           count(*) filter (where attempts >= max_attempts) as failed
      from graphile_worker._private_jobs`.execute(db);
  return rows[0]!;
}

const REDIS_PATIENCE_MS = 3000;

/**
 * The version of Redis or Valkey; undefined when it can't be reached.
 * @throws Fault when it may drop counters
 */
export async function readRedisVersion(url: string): Promise<string | undefined> {
  const redis = openRedis(url, createLog("silent"));
  try {
    if (!(await redisReady(redis, REDIS_PATIENCE_MS))) return undefined;
    await checkRedis(redis);
    const info = await redis.info("server");
    return /^(?:valkey|redis)_version:(\S+)/m.exec(info)?.[1] ?? "unknown";
  } finally {
    redis.disconnect();
  }
}
