/** A period date by date, as its owners see it. */
import { sql } from "kysely";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AskedUsage } from "./counters.ts";
import { datesOf, type LocalDate } from "./dates.ts";
import { findPeriod } from "./find-period.ts";
import { EMPTY_SUM } from "./ledger.ts";
import type { Period } from "./period.ts";
import { sumDates } from "./sum-dates.ts";

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
