/**
 * The dates of a master's time zone: which a period has, and where a day of UTC has to be cut so that each part of it lies
 * within one of them.
 *
 * Invariant: dates follow one another without gap or overlap. One that a zone has left out (it changed the date line) is
 * not among them; one without a midnight begins with its first instant, one with two begins with the first.
 */
import { type Calendar, type Period, periodDate, periodStarting, rulingAnchor } from "./period.ts";
import { DAY_MS, type Span } from "./slices.ts";

/** `date`: `2026-11-01`. */
export type LocalDate = Readonly<{ date: string; startMs: number }>;

const MOST = 400;

/** The dates of a period in the zone that rules it, up to the one of `until`; the first may start before the period does. */
export function datesOf(calendar: Calendar, period: Period, until: Date): LocalDate[] {
  const lastMs = Math.min(period.end.getTime() - 1, until.getTime());
  const { timeZone } = rulingAnchor(calendar, period);
  const first = periodDate(calendar, period);
  const dates: LocalDate[] = [{ date: first, startMs: startOf(timeZone, first) ?? period.start.getTime() }];
  for (let n = 1; n < MOST; n += 1) {
    const date = dateAt(Date.parse(`${first}T00:00:00Z`) + n * DAY_MS);
    const startMs = startOf(timeZone, date);
    if (startMs === undefined) continue;
    if (startMs > lastMs) break;
    dates.push({ date, startMs });
  }
  return dates;
}

/** The index of the date on which an instant lies; what is before the first belongs to the first, what is later to the last. */
export function dateIndex(dates: readonly LocalDate[], ms: number): number {
  return Math.max(
    0,
    dates.findLastIndex(({ startMs }) => startMs <= ms),
  );
}

/** A day of UTC (`2026-11-01`), cut where a date begins in that zone. */
export function partsOfDay(day: string, timeZone: string): Span[] {
  const fromMs = Date.parse(`${day}T00:00:00Z`);
  const toMs = fromMs + DAY_MS;
  const cuts = [fromMs, startOf(timeZone, day), startOf(timeZone, dateAt(toMs)), toMs]
    .filter((at) => at !== undefined && at >= fromMs && at <= toMs)
    .sort((a, b) => a! - b!);
  return cuts.flatMap((at, i) => (i > 0 && at! > cuts[i - 1]! ? [{ fromMs: cuts[i - 1]!, toMs: at! }] : []));
}

/** The date of UTC. */
export function dateAt(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Undefined: the zone has no such date. */
function startOf(timeZone: string, date: string): number | undefined {
  return periodStarting({ anchorDay: Number(date.slice(8)), timeZone }, date)?.start.getTime();
}
