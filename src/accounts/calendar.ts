/** Where an account's periods start: its master's anchor day and time zone, with a change that is still to come. */
import { sql } from "kysely";
import { type Calendar, rulingAnchor } from "../metering/period.ts";

export type CalendarColumns = Readonly<{
  anchor_day: number;
  time_zone: string;
  next_anchor_day: number | null;
  next_time_zone: string | null;
  calendar_changes_at: Date | null;
}>;

export function calendarOf(row: CalendarColumns): Calendar {
  const now = { anchorDay: row.anchor_day, timeZone: row.time_zone };
  if (row.next_anchor_day === null || row.next_time_zone === null || row.calendar_changes_at === null) return now;
  const next = {
    anchorDay: row.next_anchor_day,
    timeZone: row.next_time_zone,
    changesAt: row.calendar_changes_at,
  };
  return { ...now, next };
}

/** The zone that rules at that instant: what is told then is told in it. */
export const zoneAt = (calendar: Calendar, at: Date): string => rulingAnchor(calendar, { start: at }).timeZone;

/** The same now, of a `master m`. */
export const zoneOfMaster = sql<string>`(case when m.calendar_changes_at <= pm_now() then m.next_time_zone else m.time_zone end)`;
