/**
 * Periods of a master that have no statement yet, in order and without gaps: each starts where the one before ended.
 *
 * Usage rows know the bounds of periods whose calendar has changed since.
 */
import { calendarOf } from "../accounts/calendar.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import { type Calendar, type Period, periodAt, periodDate } from "./period.ts";

/**
 * An account that says it was closed at an instant may be priced until its closing was committed, a little later: where a period begins
 * in between, what is left of a year is given back in that one.
 */
export const COMMITTED_WITHIN_MS = 60_000;

/** The first one, whether it is over or not; undefined for a closed master behind the period of its closing, unless it is used. */
export async function firstOpen(db: Db, masterId: MasterId): Promise<Period | undefined> {
  const master = await db.selectFrom("master").selectAll().where("id", "=", masterId).executeTakeFirst();
  if (master === undefined) return undefined;
  const calendar = calendarOf(master);
  const last = await db
    .selectFrom("statement")
    .select("period_end")
    .where("master_id", "=", masterId)
    .orderBy("period_start", "desc")
    .executeTakeFirst();
  const from = last?.period_end ?? new Date(0);
  const used = await usedSince(db, masterId, from);
  const openTo = (master.closed_at?.getTime() ?? Number.NEGATIVE_INFINITY) + COMMITTED_WITHIN_MS;
  const wasOpen = master.state !== "closed" || openTo >= from.getTime();
  if (used === undefined && !wasOpen) return undefined;
  const first = periodAt(calendar, master.created_at).start;
  const start = last?.period_end ?? (used !== undefined && used.start < first ? used.start : first);
  return periodFrom(calendar, start, used);
}

/** The one that has ended, and is named so (`2026-11-01`); undefined when there is none. */
export async function findEnded(
  db: Db,
  { id, calendar }: Readonly<{ id: MasterId; calendar: Calendar }>,
  name: string,
  now: Date,
): Promise<Period | undefined> {
  for (let period = await firstOpen(db, id); period !== undefined && period.end <= now; ) {
    if (periodDate(calendar, period) === name) return period;
    period = periodFrom(calendar, period.end, await usedSince(db, id, period.end));
  }
  return undefined;
}

async function usedSince(db: Db, masterId: MasterId, start: Date): Promise<Period | undefined> {
  return await db
    .selectFrom("usage")
    .select(["period_start as start", "period_end as end"])
    .where("account_id", "=", masterId)
    .where("period_start", ">=", start)
    .orderBy("period_start")
    .executeTakeFirst();
}

/** `used`: the first one from then on that has a usage row. */
function periodFrom(calendar: Calendar, start: Date, used: Period | undefined): Period {
  if (used !== undefined && used.start.getTime() === start.getTime()) return used;
  const { end } = periodAt(calendar, start);
  return { start, end: used !== undefined && used.start < end ? used.start : end };
}
