/**
 * Which months of the ledger may leave the database: those that are old enough, one after the other, once nothing more is asked of
 * their entries: all days are summed, all statements closed, and no message is stored whose charge they are.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { formatId, type MasterId } from "../platform/ids.ts";
import { findArchive, listArchives } from "./archive-records.ts";
import { firstDay, type Month, monthAfter, monthOf, spanOfMonth } from "./months.ts";

/** The months that are due after `retentionMs` in the database, oldest first. One that was restored is not: somebody looks at it. */
export async function dueMonths(db: Db, retentionMs: number): Promise<Month[]> {
  const first = await nextMonth(db);
  if (first === undefined) return [];
  const now = await databaseNow(db);
  const due: Month[] = [];
  for (let month = first; spanOfMonth(month).toMs + retentionMs <= now; month = monthAfter(month)) due.push(month);
  return due;
}

/** The one that goes next: the manifests are a chain of months without a gap. Undefined: the ledger is empty. */
export async function nextMonth(db: Db): Promise<Month | undefined> {
  const records = await listArchives(db);
  const begun = records.find(({ removedAt }) => removedAt === null);
  if (begun !== undefined) return begun.month;
  const last = records.at(-1);
  if (last !== undefined) return monthAfter(last.month);
  const [day] = await partitionDays(db, "usage_entry");
  return day === undefined ? undefined : monthOf(day);
}

async function databaseNow(db: Db): Promise<number> {
  const { rows } = await sql<{ now: Date }>`select pm_now() as now`.execute(db);
  return rows[0]!.now.getTime();
}

/** The UTC days of a table's partitions, in order; of a month, or of all. */
export async function partitionDays(db: Db, table: "usage_entry" | "message", month?: Month): Promise<string[]> {
  const { rows } = await sql<{ day: string }>`
    with names as materialized (
      select right(c.relname, 8) as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = ${table}::regclass and c.relname ~ '_[0-9]{8}$'
    )
    select to_date(name, 'YYYYMMDD')::text as day from names order by 1`.execute(db);
  return rows.map(({ day }) => day).filter((day) => month === undefined || monthOf(day) === month);
}

/** @throws Fault when it is not this month's turn */
export async function checkTurn(db: Db, month: Month): Promise<void> {
  const record = await findArchive(db, month);
  if (record?.archived === true) {
    throw new Fault("conflict", `${month} is archived already, in ${record.file}.`);
  }
  if (record?.restoredAt != null) return; // its place in the chain it has
  const next = await nextMonth(db);
  if (next === undefined || month < next)
    throw new Fault(
      "not-found",
      `${month} is not in the ledger${next === undefined ? "" : `: it begins with ${next}`}.`,
    );
  if (month > next) throw new Fault("conflict", `Months are archived one after the other: ${next} comes first.`);
}

/** What still stands in the way, each as a sentence without its end. Empty: nothing. */
export async function waitsFor(db: Db, month: Month, retentionMs: number): Promise<string[]> {
  const readyAt = spanOfMonth(month).toMs + retentionMs;
  if ((await databaseNow(db)) < readyAt)
    return [`it is too young: until ${new Date(readyAt).toISOString().slice(0, 10)} its entries stay in the database`];
  const unsummed = await unsummedDays(db, month);
  const stored = await partitionDays(db, "message", month);
  const waits = await openStatements(db, month);
  if (unsummed.length > 0) waits.push(`${daysNamed(unsummed)} not summed yet, which the job sum_days does`);
  if (stored.length > 0)
    waits.push(`messages of ${daysNamed(stored)} stored still, until POSTMETER_RETENTION_MESSAGES has outlived them`);
  return waits;
}

const daysNamed = (days: readonly string[]) =>
  days.length === 1 ? `${days[0]} is` : `${days.length} days from ${days[0]} to ${days.at(-1)} are`;

export async function unsummedDays(db: Db, month: Month): Promise<string[]> {
  const summed = await summedDays(db, month);
  return (await partitionDays(db, "usage_entry", month)).filter((day) => !summed.has(day));
}

/** The days of a month whose sums are kept, with the entries that each was summed with. */
export async function summedDays(db: Db, month: Month): Promise<Map<string, number>> {
  const { rows } = await sql<{ day: string; entries: number }>`
    select entry_day::text as day, entries from summed_day
     where entry_day >= ${firstDay(month)}::date and entry_day < ${firstDay(monthAfter(month))}::date order by 1`.execute(
    db,
  );
  return new Map(rows.map(({ day, entries }) => [day, entries]));
}

const NAMED = 3;

/**
 * Statements that are yet to be made from entries of the month. A closed master gets none for a later period in which it had no usage row
 * (open-period.ts): such a one is waited for by nobody.
 */
async function openStatements(db: Db, month: Month): Promise<string[]> {
  const { rows } = await sql<{ masterId: MasterId; start: Date; found: number }>`
    select d.master_id as "masterId", d.period_start as start, count(*) over () as found
      from (select distinct master_id, period_start from usage_day
             where entry_day >= ${firstDay(month)}::date and entry_day < ${firstDay(monthAfter(month))}::date
               and (messages <> 0 or units <> 0 or corrections <> 0)) d
     where not exists (select from statement s where s.master_id = d.master_id and s.period_start = d.period_start)
       and not (exists (select from master m where m.id = d.master_id and m.state = 'closed')
                and not exists (select from usage u where u.account_id = d.master_id and u.period_start = d.period_start))
     order by 2, 1 limit ${NAMED}`.execute(db);
  const waits = rows.map(
    ({ masterId, start }) =>
      `${formatId("mas", masterId)} has no statement yet of its period from ${start.toISOString().slice(0, 10)}`,
  );
  const more = (rows[0]?.found ?? 0) - rows.length;
  return more > 0 ? [...waits, `${more} more statements are not closed`] : waits;
}
