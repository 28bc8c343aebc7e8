/**
 * Forecasts of accounts. API, command line, mails and alerts read them here, so that all of them say the same.
 *
 * The reckoning is forecast.ts; the days are those of usage by day.
 */
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import { readCounters, readMasterCounters } from "./counters.ts";
import { type Forecast, forecast } from "./forecast.ts";
import type { Period } from "./period.ts";
import { type RecentAccount, type RecentDays, readRecentDays } from "./recent-days.ts";

/** `base`: what 100 % is: limit with top-ups, or the master's allowance; null: none. */
export type AccountForecast = Forecast & Readonly<{ period: Period; used: number; base: number | null }>;

/** @throws Fault not-found, also for another tenant's id */
export async function readForecast(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  clock: Clock,
): Promise<AccountForecast> {
  return (await forecastOf(db, await findSubaccount(db, principal, ref, clock), clock)).forecast;
}

/** Of the master's own allowance. @param id the operator's choice @throws Fault not-found */
export async function readMasterForecast(
  db: Db,
  principal: Principal,
  id: MasterId | undefined,
  clock: Clock,
): Promise<AccountForecast> {
  const { id: masterId, calendar, createdAt } = await findMaster(db, principal, id, clock);
  return (await forecastOf(db, { id: null, masterId, calendar, createdAt }, clock)).forecast;
}

/** With the days that it is drawn from. */
export async function forecastOf(
  db: Db,
  account: RecentAccount,
  clock: Clock,
): Promise<Readonly<{ forecast: AccountForecast; days: RecentDays }>> {
  const days = await readRecentDays(db, account, clock.now());
  const { history, dates, todayShare, period } = days;
  const { used, base } = await readStanding(db, account, period);
  return { forecast: { ...forecast({ history, dates, todayShare, used, base }), period, used, base }, days };
}

async function readStanding(db: Db, { id, masterId }: RecentAccount, period: Period) {
  if (id === null) return readMasterCounters(db, masterId, period);
  const { used, cap: base } = (await readCounters(db, [{ id, masterId, period }])).get(id)!;
  return { used, base };
}
