/** The period that someone asks for: the running one, or one by its start date in the master's time zone. */
import { sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type Fault, invalid } from "../platform/errors.ts";
import type { MasterId } from "../platform/ids.ts";
import { type Calendar, type Period, periodAt, periodDate, periodStarting } from "./period.ts";

export type PeriodOwner = Readonly<{ masterId: MasterId; calendar: Calendar }>;

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/**
 * @param date `2026-11-01`; undefined: the running period. Those of an earlier calendar are found too where they were used or have
 *   a statement.
 * @throws Fault invalid at `/period`
 */
export async function findPeriod(db: Db, owner: PeriodOwner, date: string | undefined, clock: Clock): Promise<Period> {
  if (date === undefined) return periodAt(owner.calendar, clock.now());
  if (!isDate(date)) throw wrongPeriod(date);
  const known = await findKept(db, owner, date);
  const period = known ?? periodStarting(owner.calendar, date);
  if (period === undefined) throw wrongPeriod(date);
  return period;
}

function isDate(text: string): boolean {
  if (!DATE.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

async function findKept(db: Db, { masterId, calendar }: PeriodOwner, date: string): Promise<Period | undefined> {
  const near = new Date(`${date}T00:00:00Z`).getTime();
  const [from, to] = [new Date(near - 2 * DAY_MS), new Date(near + 2 * DAY_MS)];
  const { rows } = await sql<Period>`
    select period_start as start, period_end as end from usage
     where account_id = ${masterId} and period_start > ${from} and period_start < ${to}
    union
    select period_start, period_end from statement
     where master_id = ${masterId} and period_start > ${from} and period_start < ${to} order by 1`.execute(db);
  return rows.find((period) => periodDate(calendar, period) === date);
}

function wrongPeriod(date: string): Fault {
  return invalid("/period", `No period starts on ${date.slice(0, 20)}. Give the start date of one, as 2026-11-01.`);
}
