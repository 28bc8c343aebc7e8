/** A period date by date: from the kept sums of its days, and from the entries where none are kept. */
import { sql } from "kysely";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AskedUsage } from "./counters.ts";
import { dateIndex, datesOf, type LocalDate } from "./dates.ts";
import { findPeriod } from "./find-period.ts";
import { type KeptPart, readKeptParts, spansWithout } from "./kept-sums.ts";
import { addSums, countedUnits, EMPTY_SUM, idAt, type LedgerSum, spanOf, sumsOf } from "./ledger.ts";
import type { Period } from "./period.ts";
import { eachSlice, type Span, widthFor } from "./slices.ts";

/**
 * `date` is a day of the master's time zone, `2026-11-01`. A message stands on the day its id was made, seconds before
 * its acceptance; a correction on the day it was made. Sums over the days are those of the period.
 */
export type UsageDay = Readonly<{
  date: string;
  units: number;
  messages: number;
  corrections: number;
  refused: number;
}>;

/**
 * The days from the period's start to today or its end.
 * @throws Fault not-found, invalid at `/period`
 */
export async function readDailyUsage(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  date: string | undefined,
  clock: Clock,
): Promise<{ period: Period; days: UsageDay[] }> {
  const { id, masterId, calendar } = await findSubaccount(db, principal, ref, clock);
  const period = await findPeriod(db, { masterId, calendar }, date, clock);
  const dates = datesOf(calendar, period, clock.now());
  const asked = { id, masterId, period };
  const sums = await sumDates(db, asked, dates);
  const refused = await readRefused(db, asked, dates);
  return {
    period,
    days: dates.map(({ date }, i) => ({ date, ...(sums.get(i) ?? EMPTY_SUM), refused: refused.get(i) ?? 0 })),
  };
}

/** By index of the date. */
type Sums = Map<number, LedgerSum>;

async function sumDates(db: Db, asked: AskedUsage, dates: readonly LocalDate[]): Promise<Sums> {
  const { period, id } = asked;
  const sums: Sums = new Map();
  const add = (i: number, sum: LedgerSum) => sums.set(i, addSums(sums.get(i) ?? EMPTY_SUM, sum));
  const kept = usable(await readKeptParts(db, asked), dates);
  for (const { span, messages, units, corrections } of kept) {
    if (span !== null) add(dateIndex(dates, span.fromMs), { messages, units, corrections });
  }
  const span = spanOf(period);
  const left = spansWithout(span, new Set(kept.map(({ day }) => day)));
  await eachSlice(left, { widthMs: widthFor(span, await countedUnits(db, id, period)) }, async (slice) => {
    const rows = await readSlice(db, asked, dates, slice);
    for (const { n, messages, units, corrections } of rows) add(Math.max(n - 1, 0), { messages, units, corrections });
    return rows.reduce((sum, row) => sum + row.entries, 0);
  });
  return sums;
}

/**
 * The days whose parts lie each within one date. Others are read from their entries: the zone, or what is known of it, was
 * another one when they were summed.
 */
function usable(parts: readonly KeptPart[], dates: readonly LocalDate[]): KeptPart[] {
  const torn = new Set(
    parts
      .filter(({ span }) => span !== null && dateIndex(dates, span.fromMs) !== dateIndex(dates, span.toMs - 1))
      .map(({ day }) => day),
  );
  return parts.filter(({ day }) => !torn.has(day));
}

type SliceRow = LedgerSum & Readonly<{ n: number; entries: number }>;

/** `n`: how many dates begin up to there. */
async function readSlice(
  db: Db,
  { id, masterId, period }: AskedUsage,
  dates: readonly LocalDate[],
  { fromMs, toMs }: Span,
): Promise<SliceRow[]> {
  const { rows } = await sql<SliceRow>`
    select width_bucket(id, ${dates.map(({ startMs }) => idAt(startMs))}::uuid[]) as n, count(*) as entries, ${sumsOf}
      from usage_entry
     where master_id = ${masterId} and period_start = ${period.start} and subaccount_id = ${id}
       and id >= ${idAt(fromMs)}::uuid and id < ${idAt(toMs)}::uuid
     group by 1`.execute(db);
  return rows;
}

/** Messages, by index of the date. */
async function readRefused(
  db: Db,
  { id, period }: AskedUsage,
  dates: readonly LocalDate[],
): Promise<Map<number, number>> {
  const { rows } = await sql<{ n: number; messages: number }>`
    select greatest(width_bucket(minute, ${dates.map(({ startMs }) => new Date(startMs).toISOString())}::timestamptz[]) - 1, 0) as n,
           sum(messages)::bigint as messages
      from refusal where subaccount_id = ${id} and period_start = ${period.start} and minute < ${period.end}
     group by 1`.execute(db);
  return new Map(rows.map(({ n, messages }) => [n, messages]));
}
