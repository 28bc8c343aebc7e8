/**
 * Takes out what its retention has outlived: bodies soon after delivery, whole days of messages later. The ledger stays.
 *
 * Invariant: nothing of a message that still has work is purged.
 */

import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL } from "../platform/ids.ts";

export type Retention = Readonly<{ bodiesMs: number; messagesMs: number; eventsMs: number }>;

const BATCH = 5_000;

export type Purged = Readonly<{ bodies: number; partitions: readonly string[] }>;

export async function purge(db: Db, retention: Retention): Promise<Purged> {
  const bodies = await purgeBodies(db, retention.bodiesMs);
  const dropped = [
    ...(await dropDays(db, "event", retention.eventsMs)),
    ...(await dropDays(db, "message", retention.messagesMs)),
  ];
  await sql`delete from in_doubt where until < pm_now()`.execute(db);
  return { bodies, partitions: dropped };
}

/** Bodies of finished messages, and parts written ahead for messages that were never accepted. In batches, by key. */
async function purgeBodies(db: Db, retentionMs: number): Promise<number> {
  let bodies = 0;
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await sql<{ last: string | null; gone: string }>`
      with page as materialized (
        select message_id, part from body
         where message_id > ${after}::uuid and message_id < uuid_at(pm_now() - make_interval(secs => ${retentionMs / 1000}::float8))
         order by message_id, part limit ${BATCH}
      ), gone as (
        delete from body b using page p where b.message_id = p.message_id and b.part = p.part
           and not exists (select from queue q where q.message_id = p.message_id)
           and case when exists (select from message m where m.id = p.message_id)
                    then not exists (select from recipient r where r.message_id = p.message_id
                                      and r.settled_at > pm_now() - make_interval(secs => ${retentionMs / 1000}::float8))
                    else p.message_id < uuid_at(pm_now() - interval '1 day') end
        returning 1
      )
      select (select message_id::text from page order by message_id desc limit 1) as last, (select count(*) from gone) as gone`.execute(
      db,
    );
    const row = rows[0];
    bodies += Number(row?.gone ?? 0);
    if (!row?.last) return bodies;
    after = row.last;
  }
}

/** Days of a partitioned table that ended before the retention, and hold nothing queued. `message` goes last: it lists them. */
async function dropDays(db: Db, table: "message" | "event", retentionMs: number): Promise<string[]> {
  const parents = table === "message" ? ["recipient", "body", "message"] : ["event"];
  const { rows } = await sql<{ day: string }>`
    with partitions as materialized (
      select substr(c.relname, length(${table}) + 2) as day
        from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
       where p.relname = ${table} and p.relnamespace = current_schema()::regnamespace
    )
    select day from partitions
     where to_date(day, 'YYYYMMDD') + 1 <= pm_now() - make_interval(secs => ${retentionMs / 1000}::float8)
     order by 1`.execute(db);
  const dropped: string[] = [];
  for (const { day } of rows) {
    if (table === "message" && (await hasQueued(db, day))) continue;
    for (const parent of parents) {
      await sql`drop table if exists ${sql.table(`${parent}_${day}`)}`.execute(db);
      dropped.push(`${parent}_${day}`);
    }
  }
  return dropped;
}

async function hasQueued(db: Db, day: string): Promise<boolean> {
  const { rows } = await sql`
    select from queue where message_id >= uuid_at(to_date(${day}, 'YYYYMMDD')::timestamp at time zone 'UTC')
      and message_id < uuid_at((to_date(${day}, 'YYYYMMDD') + 1)::timestamp at time zone 'UTC') limit 1`.execute(db);
  return rows.length > 0;
}

/** Mail of held tenants that has outlived its time is taken by the next claim, to be returned. Returns how many. */
export async function expireHeld(db: Db): Promise<number> {
  const { rows } = await sql<{ expired: number }>`select expire_held() as expired`.execute(db);
  return rows[0]?.expired ?? 0;
}
