/** UTC months of the ledger: what the archive is cut into, and in which form it names them. */
import { dateAt } from "./dates.ts";
import { idAt } from "./ledger.ts";
import { DAY_MS, type Span } from "./slices.ts";

/** `2026-08` */
export type Month = string;

const FORM = /^\d{4}-(0[1-9]|1[0-2])$/;

export function isMonth(text: string): boolean {
  return FORM.test(text);
}

export function monthAfter(month: Month, months = 1): Month {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year!, number! - 1 + months, 1)).toISOString().slice(0, 7);
}

/** Its first day, `2026-08-01`, as the tables have it. */
export function firstDay(month: Month): string {
  return `${month}-01`;
}

export function monthOf(day: string): Month {
  return day.slice(0, 7);
}

export function spanOfMonth(month: Month): Span {
  return { fromMs: Date.parse(firstDay(month)), toMs: Date.parse(firstDay(monthAfter(month))) };
}

export function daysOfMonth(month: Month): string[] {
  const { fromMs, toMs } = spanOfMonth(month);
  return Array.from({ length: (toMs - fromMs) / DAY_MS }, (_, i) => dateAt(fromMs + i * DAY_MS));
}

/** The day, and so the partition, of entries with such an id. */
export function dayOfId(id: string): string {
  return dateAt(msOfId(id));
}

export function monthOfId(id: string): Month {
  return monthOf(dayOfId(id));
}

export function msOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Bounds `[from, to)` on the ids of a month. */
export function idsOfMonth(month: Month): { from: string; to: string } {
  const { fromMs, toMs } = spanOfMonth(month);
  return { from: idAt(fromMs), to: idAt(toMs) };
}
