/**
 * Every kept sum of a day says what the entries say: each entry of a summed day is in one row, and each row is the sum of
 * its entries.
 *
 * Of a part of the ledger its rows and entries are looked at; with how many entries a day was summed is said of all masters together.
 *
 * Mail goes on while this reads: what is found of a day whose word was taken back meanwhile is passed over.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import { eachSumOfDay, type Owner, type OwnerSum, ownerKey } from "./day-entries.ts";
import type { Findings } from "./difference.ts";
import { addSums, EMPTY_SUM, type LedgerSum } from "./ledger.ts";
import { daysIn, EVERYTHING, isPart, rowsIn, type Scope } from "./scope.ts";

type Day = Readonly<{ day: string; entries: number; summedAt: string }>;

export async function verifyDays(db: Db, scope: Scope, findings: Findings): Promise<void> {
  for (let after = "-infinity"; ; ) {
    const [day] = await readDays(db, sql`entry_day > ${after}::date and ${daysIn(scope)} and ${isLive}`);
    if (day === undefined) return;
    const details = await verifyDay(db, scope, day, findings);
    const [now] = details.length > 0 ? await readDays(db, sql`entry_day = ${day.day}::date`) : [];
    if (now?.summedAt === day.summedAt) {
      for (const { subject, detail } of details) findings.found({ check: "days", subject, detail });
    }
    after = day.day;
  }
}

/** The others are held against the files of the archive (verify-archive.ts). */
const isLive = sql`not exists (select from ledger_archive a where a.archived and a.month = date_trunc('month', entry_day::timestamp)::date)`;

async function readDays(db: Db, which: ReturnType<typeof sql>): Promise<Day[]> {
  const { rows } = await sql<Day>`
    select entry_day::text as day, entries, summed_at::text as "summedAt" from summed_day
     where ${which} order by entry_day limit 1`.execute(db);
  return rows;
}

async function verifyDay(db: Db, scope: Scope, { day, entries }: Day, findings: Findings): Promise<Detail[]> {
  const judge = await openDay(db, day, scope);
  await eachSumOfDay(db, { day, scope, cuts: judge.cuts }, (sum, { fromMs }) => {
    judge.take(sum, fromMs);
    findings.read(sum.entries);
  });
  return judge.details(isPart(scope) ? undefined : entries);
}

type Kept = Owner & LedgerSum & Readonly<{ since: Date; until: Date }>;
type Seen = LedgerSum & Readonly<{ entries: number }>;
export type Detail = Readonly<{ subject: string; detail: string }>;

/** The kept sums of a day, held against its entries as they are told, in any pieces. */
export type DayJudge = Readonly<{
  /** Instants (ms) over which no piece may reach. */
  cuts: ReadonlySet<number>;
  take(sum: OwnerSum, atMs: number): void;
  /** What is wrong, when all was told. `entries`: how many it was summed with; left out: not all was told. */
  details(entries: number | undefined): Detail[];
}>;

export async function openDay(db: Db, day: string, scope: Scope = EVERYTHING): Promise<DayJudge> {
  const kept = await readKept(db, day, scope);
  const seen = new Map<Kept, Seen>();
  const left = new Map<string, OwnerSum>();
  let read = 0;
  return {
    cuts: new Set([...kept.values()].flat().flatMap(({ since, until }) => [since.getTime(), until.getTime()])),
    take(sum, atMs) {
      const key = ownerKey(sum);
      const rows = kept.get(key)?.filter(({ since, until }) => since.getTime() <= atMs && atMs < until.getTime()) ?? [];
      for (const row of rows) seen.set(row, plus(seen.get(row), sum));
      if (rows.length === 0) left.set(key, { ...sum, ...plus(left.get(key), sum) });
      read += sum.entries;
    },
    details: (entries) => compare(day, { kept, seen, left, read, entries }),
  };
}

const plus = (before: Seen | undefined, sum: Seen): Seen => ({
  ...addSums(before ?? EMPTY_SUM, sum),
  entries: (before?.entries ?? 0) + sum.entries,
});

type Compared = Readonly<{
  kept: KeptRows;
  /** What the entries say to each row. */
  seen: ReadonlyMap<Kept, Seen>;
  /** What is in no row, by owner. */
  left: ReadonlyMap<string, OwnerSum>;
  read: number;
  entries: number | undefined;
}>;

function compare(day: string, { kept, seen, left, read, entries }: Compared): Detail[] {
  const details: Detail[] = [];
  const found = (owner: Owner, detail: string) => {
    const period = owner.periodStart.toISOString();
    details.push({ subject: formatId("sub", owner.subaccountId), detail: `day ${day}, period ${period}: ${detail}` });
  };
  if (entries !== undefined && read !== entries)
    details.push({ subject: day, detail: `it was summed with ${entries} entries, and has ${read}` });
  for (const rows of kept.values()) {
    for (const [i, row] of rows.entries()) {
      const sum = seen.get(row);
      if (sum === undefined) found(row, `the sum ${nameOf(row)} says ${shown(row)}; there is no entry`);
      else if (differs(row, sum)) found(row, `the sum ${nameOf(row)} says ${shown(row)}; the entries ${shown(sum)}`);
      if (i > 0 && rows[i - 1]!.until > row.since)
        found(row, `the sum ${nameOf(row)} begins before the one ahead of it ends`);
    }
  }
  for (const sum of left.values()) found(sum, `${sum.entries} entries are in no sum: ${shown(sum)}`);
  return details;
}

const nameOf = ({ since, until }: Kept) => `from ${since.toISOString()} to ${until.toISOString()}`;
const shown = ({ messages, units, corrections }: LedgerSum) =>
  `${messages} messages, ${units} units, ${corrections} corrections`;
const differs = (a: LedgerSum, b: LedgerSum) =>
  a.units !== b.units || a.messages !== b.messages || a.corrections !== b.corrections;

type KeptRows = ReadonlyMap<string, readonly Kept[]>;

/** By owner; of each in the order of time. */
async function readKept(db: Db, day: string, scope: Scope): Promise<KeptRows> {
  const { rows } = await sql<Kept>`
    select master_id as "masterId", period_start as "periodStart", subaccount_id as "subaccountId", since, until,
           messages, units, corrections
      from usage_day where entry_day = ${day}::date and ${rowsIn(scope)}
     order by master_id, period_start, subaccount_id, since`.execute(db);
  return Map.groupBy(rows, ownerKey);
}
