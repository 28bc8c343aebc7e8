/** The days of an account that a forecast is drawn from: the whole ones before today, and today so far. */
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { dateIndex, datesOf } from "./dates.ts";
import { type DayUnits, HISTORY_DAYS } from "./forecast.ts";
import { type Calendar, type Period, periodAt, previousPeriod } from "./period.ts";
import { DAY_MS } from "./slices.ts";
import { sumDates } from "./sum-dates.ts";

export type RecentAccount = Readonly<{
  /** Null: all of the master's subaccounts together. */
  id: SubaccountId | null;
  masterId: MasterId;
  calendar: Calendar;
  /** Days before it was there are left out. */
  createdAt: Date;
}>;

export type RecentDays = Readonly<{
  history: DayUnits[];
  today: DayUnits;
  /** How much of today has gone by, 0 to 1. */
  todayShare: number;
  /** Today and what follows of the running period. */
  dates: string[];
  period: Period;
}>;

/** Days of the zone that rules their period, as usage by day has them (daily.ts). */
export async function readRecentDays(db: Db, account: RecentAccount, now: Date): Promise<RecentDays> {
  const { id, masterId, calendar, createdAt } = account;
  const running = periodAt(calendar, now);
  const all = datesOf(calendar, running, running.end);
  const i = dateIndex(all, now.getTime());
  const startMs = all[i]!.startMs;
  const endMs = all[i + 1]?.startMs ?? running.end.getTime();
  const sinceMs = Math.max(createdAt.getTime(), startMs - HISTORY_DAYS * DAY_MS);
  const units = new Map<string, number>();
  for (let period = running; ; period = previousPeriod(calendar, period)) {
    const dates = datesOf(calendar, period, now);
    const sums = await sumDates(db, { id, masterId, period }, dates);
    for (const [n, { date }] of dates.entries()) {
      const endMs = dates[n + 1]?.startMs ?? period.end.getTime();
      if (endMs > sinceMs) units.set(date, (units.get(date) ?? 0) + (sums.get(n)?.units ?? 0));
    }
    if (period.start.getTime() <= sinceMs) break;
  }
  const today = all[i]!.date;
  const history = [...units]
    .filter(([date]) => date < today)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([date, units]) => ({ date, units }));
  return {
    history,
    today: { date: today, units: units.get(today) ?? 0 },
    todayShare: Math.min(1, Math.max(0, (now.getTime() - startMs) / (endMs - startMs))),
    dates: all.slice(i).map(({ date }) => date),
    period: running,
  };
}
