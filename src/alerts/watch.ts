/**
 * The job `watch_usage`: looks at the accounts that have sent since the last time, and finds jumps and limits that will be
 * reached soon.
 *
 * One statement marks who has sent (usage_mark); the marks alone say who may have jumped or may reach its limit, and only
 * of those the days are read: each account once a day for its forecast, and for a jump when its day is large enough.
 *
 * Invariant: the marks only choose whom to look at; what is told is reckoned from the same days and by the same function
 * that the API shows. A jump is told once per account and day, a forecast once per account, period and base (unique
 * indexes), whatever runs twice or dies.
 * On failure: an account whose days can't be read is looked at again the next time; the others are done.
 */
import { sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { findForecasts } from "./watch-forecasts.ts";
import { findJumps } from "./watch-jumps.ts";

export type Watched = Readonly<{ accounts: number; jumps: number; forecasts: number }>;

/** @param budgetMs for looking closer, at jumps and at forecasts each. @throws the first error, when all others are done */
export async function watchUsage(db: Db, clock: Clock, { budgetMs = 60_000 } = {}): Promise<Watched> {
  const { rows } = await sql<{ accounts: number }>`select mark_usage() as accounts`.execute(db);
  const errors: unknown[] = [];
  const patience = { budgetMs, failed: (error: unknown) => void errors.push(error) };
  const jumps = await findJumps(db, clock, patience);
  const forecasts = await findForecasts(db, clock, patience);
  if (errors.length > 0) throw errors[0];
  return { accounts: rows[0]?.accounts ?? 0, jumps, forecasts };
}
