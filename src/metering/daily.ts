/** A period day by day, from the ledger: one short statement per day, so that no snapshot gets old over millions of entries. */
import { sql } from "kysely";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AskedUsage } from "./counters.ts";
import { findPeriod } from "./find-period.ts";
import { idAt, idsAround } from "./ledger.ts";
import { type Calendar, type Period, periodDate, periodStarting } from "./period.ts";

const DAY_MS = 86_400_000;

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
  const bounds = daysOf(calendar, period, clock.now());
  const days: UsageDay[] = [];
  for (const [i, day] of bounds.entries()) {
    const last = i === bounds.length - 1;
    const around = idsAround(period);
    const from = i === 0 ? around.from : idAt(day.start.getTime());
    const to = last ? around.to : idAt(bounds[i + 1]!.start.getTime());
    const since = i === 0 ? new Date(0) : day.start;
    const until = last ? period.end : bounds[i + 1]!.start;
    days.push({ date: day.date, ...(await readDay(db, { id, masterId, period }, { from, to, since, until })) });
  }
  return { period, days };
}

/** The days of the ruling zone, each with its first instant; the first may start before the period does. */
function daysOf(calendar: Calendar, period: Period, now: Date): { date: string; start: Date }[] {
  const until = Math.min(period.end.getTime() - 1, now.getTime());
  const { next } = calendar;
  const { timeZone } = next !== undefined && period.start >= next.changesAt ? next : calendar;
  const days: { date: string; start: Date }[] = [];
  let date = periodDate(calendar, period);
  do {
    const start = periodStarting({ anchorDay: Number(date.slice(8)), timeZone }, date)?.start ?? period.start;
    if (days.length > 0 && start.getTime() > until) break;
    days.push({ date, start });
    date = new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);
  } while (days.length < 400);
  return days;
}

type Bounds = { from: string; to: string; since: Date; until: Date };

async function readDay(db: Db, { id, masterId, period }: AskedUsage, bounds: Bounds): Promise<Omit<UsageDay, "date">> {
  const { from, to, since, until } = bounds;
  const { rows } = await sql<Omit<UsageDay, "date">>`
    select coalesce(sum(units) filter (where kind = 'accept'), 0)::bigint as units,
           count(*) filter (where kind = 'accept') as messages,
           coalesce(sum(units) filter (where kind = 'correction'), 0)::bigint as corrections,
           (select coalesce(sum(r.messages), 0)::bigint from refusal r where r.subaccount_id = ${id}
             and r.period_start = ${period.start} and r.minute >= ${since} and r.minute < ${until}) as refused
      from usage_entry
     where master_id = ${masterId} and period_start = ${period.start} and subaccount_id = ${id}
       and id >= ${from}::uuid and id < ${to}::uuid`.execute(db);
  return rows[0]!;
}
