/**
 * What became of our letters: a job looks after those that are open, so that delivery has nothing to do for it.
 *
 * Invariant: an address at which the last letter bounced is flagged, once, with one event; a letter that arrives takes the
 * flag away. Outcomes count in the order in which they came.
 * On failure: the letters stay open and are looked at again.
 */
import { sql } from "kysely";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type MasterId, type MessageId, PLATFORM } from "../platform/ids.ts";

const AT_ONCE = 500;

/** Returns how many letters have come to their end. */
export async function settleLetters(db: Db, clock: Clock): Promise<number> {
  for (let settled = 0, after: MessageId | undefined; ; ) {
    const page = await db.transaction().execute((trx) => settlePage(trx, after, clock));
    settled += page.settled;
    if (page.last === undefined) return settled;
    after = page.last;
  }
}

type Outcome = Readonly<{
  id: MessageId;
  master_id: MasterId;
  email: string;
  state: "queued" | "deferred" | "delivered" | "bounced" | "cancelled";
  at: Date | null;
  reply: string | null;
}>;

async function settlePage(trx: Db, after: MessageId | undefined, clock: Clock) {
  const open = await trx
    .selectFrom("letter")
    .select("message_id")
    .where("settled_at", "is", null)
    .$if(after !== undefined, (query) => query.where("message_id", ">", after!))
    .orderBy("message_id")
    .limit(AT_ONCE)
    .forUpdate()
    .skipLocked()
    .execute();
  const ids = open.map((row) => row.message_id);
  const outcomes = await readOutcomes(trx, ids);
  for (const outcome of outcomes) await flag(trx, outcome, clock);
  const { rows } = await sql<{ settled: boolean }>`
    update letter l set states = coalesce(o.states, l.states),
           settled_at = case when o.open is distinct from true then pm_now() end
      from unnest(${ids}::uuid[]) as one(id)
      left join lateral (
        select array_agg(r.state order by r.n) as states, bool_or(r.state in ('queued', 'deferred')) as open
          from recipient r where r.message_id = one.id) o on true
     where l.message_id = one.id
    returning l.settled_at is not null as settled`.execute(trx);
  const last = ids.length < AT_ONCE ? undefined : ids.at(-1);
  return { settled: rows.filter(({ settled }) => settled).length, last };
}

/** Of each address for which it is known, and of which it was not known before; the earliest first. */
async function readOutcomes(trx: Db, ids: readonly MessageId[]): Promise<Outcome[]> {
  const { rows } = await sql<Outcome>`
    select l.message_id as id, l.master_id, r.address as email, r.state, r.settled_at as at,
           r.attempts -> -1 ->> 'reply' as reply
      from letter l join recipient r on r.message_id = l.message_id
     where l.message_id = any(${ids}::uuid[]) and r.state in ('delivered', 'bounced') and l.states[r.n + 1] is distinct from r.state
     order by r.settled_at, r.message_id, r.n`.execute(trx);
  return rows;
}

async function flag(trx: Db, { id, master_id, email, state, at, reply }: Outcome, clock: Clock): Promise<void> {
  if (master_id === PLATFORM) return;
  const key = email.toLowerCase();
  if (state === "delivered") {
    await trx.deleteFrom("undeliverable_email").where("master_id", "=", master_id).where("email", "=", key).execute();
    return;
  }
  const since = at ?? clock.now();
  const reason = reply ?? "";
  const { rows } = await sql<{ fresh: boolean }>`
    insert into undeliverable_email as u (master_id, email, since, reason, message_id)
    values (${master_id}, ${key}, ${since}, ${reason}, ${id})
    on conflict (master_id, email) do update set reason = excluded.reason, message_id = excluded.message_id
    returning xmax = 0 as fresh`.execute(trx);
  if (rows[0]?.fresh !== true) return;
  const data = { email: key, reason };
  await emit(trx, { type: "notification.bounced", masterId: master_id, at: clock.now(), data }, clock);
}

/** Letters that were sent before that. In batches. Returns how many rows went. */
export async function forgetLetters(db: Db, retentionMs: number): Promise<number> {
  for (let gone = 0; ; ) {
    const { numAffectedRows } = await sql`
      delete from letter where message_id in (
        select message_id from letter where sent_at < pm_now() - make_interval(secs => ${retentionMs / 1000}::float8)
           and settled_at is not null order by sent_at limit 10000)`.execute(db);
    gone += Number(numAffectedRows ?? 0);
    if (Number(numAffectedRows ?? 0) < 10_000) return gone;
  }
}
