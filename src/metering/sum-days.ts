/**
 * Sums a day of the ledger once it has gone by, so that statements and usage by day need not read its entries again.
 *
 * A day is summed two days after its end: an id is as old as the start of its upload, a day before acceptance at the very
 * most (half an hour, where nothing hangs), and the second day is for clocks that are behind. Nothing rests on that but economy.
 *
 * Invariant: a row of `summed_day` says that `usage_day` holds what the day's entries say. Who writes entries of the day
 * has committed before it is read (a lock on its partition, which keeps no reader away), and who comes later meets a
 * trigger that takes the row back in the same transaction.
 * On failure: nothing of the day is stored; the next run does it again. Two at once: one does it, the other passes it over.
 */
import { sql } from "kysely";
import { calendarOf } from "../accounts/calendar.ts";
import type { Db } from "../platform/database.ts";
import { partsOfDay } from "./dates.ts";
import { eachSumOfDay, type Owner, type OwnerSum, ownerKey, partitionOf } from "./day-entries.ts";
import { addSums } from "./ledger.ts";
import { rulingAnchor } from "./period.ts";
import type { Span } from "./slices.ts";

export type SummedDay = Readonly<{ day: string; entries: number; rows: number }>;

export type SumOptions = Readonly<{
  /** No further day is begun after that time. */
  budgetMs?: number;
  sliceEntries?: number;
}>;

/**
 * Sums what is due, the newest day first: after an upgrade it is the running period that is asked for.
 * @throws the error of a day that could not be summed, when the others are done
 */
export async function sumDays(db: Db, { budgetMs = 60_000, sliceEntries }: SumOptions = {}): Promise<SummedDay[]> {
  const until = performance.now() + budgetMs;
  const done: SummedDay[] = [];
  const errors: unknown[] = [];
  for (const day of await daysDue(db)) {
    if (performance.now() >= until) break;
    const summed = await sumDay(db, day, sliceEntries).catch((error: unknown) => void errors.push(error));
    if (summed !== undefined) done.push(summed);
  }
  if (errors.length > 0) throw errors[0];
  return done;
}

const AGE_DAYS = 2;

async function daysDue(db: Db): Promise<string[]> {
  const { rows } = await sql<{ day: string }>`
    with partitions as materialized (
      select right(c.relname, 8) as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'usage_entry'::regclass and c.relname ~ '^usage_entry_[0-9]{8}$'
    )
    select day::text from (select to_date(name, 'YYYYMMDD') as day from partitions) p
     where (day + 1 + ${AGE_DAYS}::int)::timestamp at time zone 'UTC' <= pm_now()
       and not exists (select from summed_day s where s.entry_day = p.day)
     order by day desc`.execute(db);
  return rows.map(({ day }) => day);
}

/** Undefined: somebody else does it, or has done it. */
function sumDay(db: Db, day: string, sliceEntries?: number): Promise<SummedDay | undefined> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ mine: boolean }>`
      select pg_try_advisory_xact_lock(hashtextextended('sum day ' || ${day}::text, 0)) as mine`.execute(trx);
    if (rows[0]?.mine !== true) return undefined;
    const partition = sql.table(partitionOf(day));
    await sql`set local lock_timeout = '10s'`.execute(trx);
    await sql`lock table ${partition} in share row exclusive mode`.execute(trx);
    const known = await trx.selectFrom("summed_day").where("entry_day", "=", day).executeTakeFirst();
    if (known !== undefined) return undefined;
    // Until here, and while it reads, the transaction has written nothing: it holds no snapshot between its statements.
    const sums = await readDay(trx, day, sliceEntries);
    await sql`create or replace trigger entry_came_late after insert on ${partition}
      for each row execute function entry_came_late(${sql.lit(day)})`.execute(trx);
    return await keep(trx, day, sums);
  });
}

type Row = OwnerSum & Readonly<{ span: Span }>;

/** In the order of the key. */
async function readDay(trx: Db, day: string, sliceEntries?: number): Promise<Row[]> {
  const { partsOf, cuts } = await partsByZone(trx, day);
  const sums = new Map<string, Row>();
  await eachSumOfDay(trx, { day, cuts, sliceEntries }, (sum, { fromMs }) => {
    const span = partsOf(sum).findLast((part) => part.fromMs <= fromMs)!;
    const key = `${ownerKey(sum)} ${new Date(span.fromMs).toISOString()}`;
    const before = sums.get(key);
    if (before === undefined) sums.set(key, { ...sum, span });
    else sums.set(key, { ...before, ...addSums(before, sum), entries: before.entries + sum.entries });
  });
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

type Parts = Readonly<{ partsOf(owner: Owner): readonly Span[]; cuts: ReadonlySet<number> }>;

/** How the day is cut for the zone that rules an owner's period; where nobody knows the master, for UTC. */
async function partsByZone(trx: Db, day: string): Promise<Parts> {
  const masters = await trx
    .selectFrom("master")
    .select(["id", "anchor_day", "time_zone", "next_anchor_day", "next_time_zone", "calendar_changes_at"])
    .execute();
  const calendars = new Map(masters.map((master) => [master.id, calendarOf(master)]));
  const byZone = new Map<string, Span[]>();
  const partsIn = (zone: string) => {
    const parts = byZone.get(zone) ?? partsOfDay(day, zone);
    byZone.set(zone, parts);
    return parts;
  };
  const zones = [...calendars.values()].flatMap(({ timeZone, next }) => [timeZone, next?.timeZone ?? timeZone]);
  const cuts = new Set(zones.flatMap((zone) => partsIn(zone).map(({ fromMs }) => fromMs)));
  return {
    cuts,
    partsOf({ masterId, periodStart }) {
      const calendar = calendars.get(masterId);
      return partsIn(calendar === undefined ? "UTC" : rulingAnchor(calendar, { start: periodStart }).timeZone);
    },
  };
}

const BATCH = 10_000;

/** In the order of the key, so that a period's rows of a day lie together. */
async function keep(trx: Db, day: string, rows: readonly Row[]): Promise<SummedDay> {
  await sql`delete from usage_day where entry_day = ${day}::date`.execute(trx);
  for (let i = 0; i < rows.length; i += BATCH) {
    const of = <T>(value: (row: Row) => T) => rows.slice(i, i + BATCH).map(value);
    await sql`
      insert into usage_day (entry_day, master_id, period_start, subaccount_id, since, until, messages, units, corrections)
      select ${day}::date, * from unnest(${of((r) => r.masterId)}::uuid[], ${of((r) => r.periodStart.toISOString())}::timestamptz[],
        ${of((r) => r.subaccountId)}::uuid[], ${of((r) => new Date(r.span.fromMs).toISOString())}::timestamptz[],
        ${of((r) => new Date(r.span.toMs).toISOString())}::timestamptz[], ${of((r) => r.messages)}::bigint[],
        ${of((r) => r.units)}::bigint[], ${of((r) => r.corrections)}::bigint[])`.execute(trx);
  }
  const entries = rows.reduce((sum, row) => sum + row.entries, 0);
  // Until the commit: turns become visible in their order (metering/export.ts).
  await sql`select pg_advisory_xact_lock(hashtextextended('turn of a summed day', 0))`.execute(trx);
  await sql`insert into summed_day (entry_day, entries, summed_at) values (${day}::date, ${entries}, pm_now())`.execute(
    trx,
  );
  return { day, entries, rows: rows.length };
}
