/** Where an account's periods start: its master's anchor day and time zone, with a change that is still to come. */
import type { Calendar } from "../metering/period.ts";

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
