/**
 * A copy of what a master's subaccounts have used, sorted: of a hundred thousand a page by use is found without reading
 * every usage row. Kept for masters with many, while somebody looks.
 *
 * Invariant: it decides no more than the order. It is of the running period and at most a minute old, else it is not asked;
 * who has not sent, changed its limit or got a top-up since it was read has the same place in it as without it.
 * On failure: where the job `usage_order` ({master_id}) does not run, lists are sorted by the usage rows themselves.
 */
import { sql } from "kysely";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import { addJob } from "../platform/jobs.ts";
import type { Master } from "./account.ts";
import { masterOf } from "./find.ts";
import { percent, remaining, used } from "./subaccount-search.ts";

/** From so many on a copy pays: fewer are sorted in 20 ms. */
export const MANY = 10_000;
/** From then on the next look has it brought up to date behind the answer. */
const FRESH_MS = 10_000;
const USABLE_MS = 60_000;

/** Sets these advisory locks apart from others. */
const LOCKS = 7224;

type State = Readonly<{ period_start: Date; age_ms: number }>;

/** Whether a list of that master is to be sorted by the copy. One that is missing or not fresh is asked for. */
export async function isOrdered(db: Db, master: Master, clock: Clock): Promise<boolean> {
  const state = await readState(db, master.id);
  if (state === undefined && !(await hasMany(db, master.id))) return false;
  const ofNow = state !== undefined && isOf(state, master, clock);
  if (!ofNow || state.age_ms > FRESH_MS) {
    await addJob(db, "usage_order", { master_id: master.id }, { key: `usage_order:${master.id}` });
  }
  return ofNow && state.age_ms <= USABLE_MS;
}

/** Brings the copy up to date, unless another does or has just done so. Only rows that differ are written. */
export async function orderUsage(db: Db, payload: unknown, clock: Clock): Promise<void> {
  const { master_id: masterId } = payload as { master_id: MasterId };
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ mine: boolean; now: Date }>`
      select pg_try_advisory_xact_lock(hashtextextended(${masterId}, ${sql.lit(LOCKS)})) as mine, pm_now() as now`.execute(
      trx,
    );
    const { mine, now } = rows[0]!;
    const row = await trx.selectFrom("master").selectAll().where("id", "=", masterId).executeTakeFirst();
    if (!mine || row === undefined) return;
    const master = masterOf(row, clock.now());
    const state = await readState(trx, masterId);
    if (state !== undefined && isOf(state, master, clock) && state.age_ms < FRESH_MS) return;
    const { start } = periodAt(master.calendar, clock.now());
    await copy(trx, masterId, start);
    // Until it is known how many there are, the planner would rather sort them all.
    if (state === undefined) await sql`analyze usage_order`.execute(trx);
    await sql`
      insert into usage_order_state (master_id, period_start, read_at) values (${masterId}, ${start}, ${now})
      on conflict (master_id) do update set period_start = excluded.period_start, read_at = excluded.read_at`.execute(
      trx,
    );
  });
}

async function copy(trx: Db, masterId: MasterId, start: Date): Promise<void> {
  await sql`
    with counted as (
      select s.id, s.master_id, ${used} as used, ${percent} as percent, ${remaining} as remaining
        from subaccount s
        left join usage u on u.account_id = s.id and u.period_start = ${start} and u.master_id = s.master_id
       where s.master_id = ${masterId}
    )
    insert into usage_order (account_id, master_id, used, percent, remaining)
    select c.* from counted c left join usage_order o on o.account_id = c.id
     where (o.master_id, o.used, o.percent, o.remaining) is distinct from (c.master_id, c.used, c.percent, c.remaining)
    on conflict (account_id) do update set master_id = excluded.master_id, used = excluded.used,
      percent = excluded.percent, remaining = excluded.remaining`.execute(trx);
}

async function readState(db: Db, masterId: MasterId): Promise<State | undefined> {
  const { rows } = await sql<State>`
    select period_start, (extract(epoch from pm_now() - read_at) * 1000)::float8 as age_ms
      from usage_order_state where master_id = ${masterId}`.execute(db);
  return rows[0];
}

function isOf(state: State, master: Master, clock: Clock): boolean {
  return state.period_start.getTime() === periodAt(master.calendar, clock.now()).start.getTime();
}

async function hasMany(db: Db, masterId: MasterId): Promise<boolean> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from (select from subaccount where master_id = ${masterId} limit ${sql.lit(MANY)}) counted`.execute(
    db,
  );
  return rows[0]?.n === MANY;
}
