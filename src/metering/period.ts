/**
 * Which period an instant belongs to: from the master's anchor day and time zone, never from a job or a stored state.
 *
 * Invariant: the periods of a calendar tile time: each instant is in exactly one half-open `[start, end)`.
 * A period starts with the anchor day in the master's zone, clamped to the month's length from the anchor (31 gives
 * 28 February and then 31 March again). Where that day's midnight is skipped by summer time it starts with the day's first
 * instant; where midnight comes twice, with the first. A change of calendar cuts one short period.
 * On failure: a RangeError for a time zone that Intl doesn't know or an anchor day out of 1-31.
 */

/** Half-open `[start, end)`. */
export type Period = Readonly<{ start: Date; end: Date }>;

/** `anchorDay` 1-31, `timeZone` an IANA name. */
export type Anchor = Readonly<{ anchorDay: number; timeZone: string }>;

/** `next` takes over at `changesAt`, which is the end of a period; the period before `next`'s first boundary is short. */
export type Calendar = Anchor & Readonly<{ next?: Anchor & Readonly<{ changesAt: Date }> }>;

const DAY_MS = 86_400_000;
const MAX_ZONES = 128;

type Zone = { format: Intl.DateTimeFormat; latest: (Period | undefined)[] };
const zones = new Map<string, Zone>();

/** The period that contains the instant. Asked for every message: the latest of each anchor and zone is kept. */
export function periodAt(calendar: Calendar, instant: Date): Period {
  const { next } = calendar;
  const at = instant.getTime();
  if (next === undefined) return regular(calendar, at);
  const changesAt = next.changesAt.getTime();
  if (at < changesAt) {
    const period = regular(calendar, at);
    return period.end.getTime() <= changesAt ? period : { start: period.start, end: next.changesAt };
  }
  const period = regular(next, at);
  return period.start.getTime() >= changesAt ? period : { start: next.changesAt, end: period.end };
}

/** The period that starts where this one ends. */
export function nextPeriod(calendar: Calendar, period: Period): Period {
  return periodAt(calendar, period.end);
}

/** The period that ends where this one starts. */
export function previousPeriod(calendar: Calendar, period: Period): Period {
  return periodAt(calendar, new Date(period.start.getTime() - 1));
}

/** A period's name: its start date in the zone that rules it, e.g. "2026-11-01". Unique within a calendar. */
export function periodDate(calendar: Calendar, period: Period): string {
  const { timeZone } = rulingAnchor(calendar, period);
  return new Date(wallMs(zoneOf(timeZone), period.start.getTime())).toISOString().slice(0, 10);
}

/** The anchor day and zone that rule a period of this calendar. */
export function rulingAnchor({ next, ...now }: Calendar, period: Pick<Period, "start">): Anchor {
  return next !== undefined && period.start >= next.changesAt ? next : now;
}

/** The period of that name; undefined when none starts on that date. */
export function periodStarting(calendar: Calendar, date: string): Period | undefined {
  const midnight = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return undefined;
  const starts = [dayStart(zoneOf(calendar.timeZone), midnight)];
  if (calendar.next !== undefined) {
    starts.push(calendar.next.changesAt.getTime(), dayStart(zoneOf(calendar.next.timeZone), midnight));
  }
  return starts.map((at) => periodAt(calendar, new Date(at))).find((period) => periodDate(calendar, period) === date);
}

/**
 * The calendar after a change asked for at `instant`: it takes effect when the running period ends, and takes the place
 * of one that still waits. Undefined while the short period of an earlier change is running: its bounds would be lost.
 * A change that has taken effect long ago is forgotten: periods before it are known from their usage rows.
 */
export function changeCalendar(calendar: Calendar, to: Anchor, instant: Date): Calendar | undefined {
  const { next } = calendar;
  const running = periodAt(calendar, instant);
  const ruling = next === undefined || running.start < next.changesAt ? calendar : next;
  const { anchorDay, timeZone } = ruling;
  if (running.start.getTime() !== regular(ruling, instant.getTime()).start.getTime()) return undefined;
  if (to.anchorDay === anchorDay && to.timeZone === timeZone) return { anchorDay, timeZone };
  const changesAt = regular(ruling, instant.getTime()).end;
  return { anchorDay, timeZone, next: { anchorDay: to.anchorDay, timeZone: to.timeZone, changesAt } };
}

/** True for a zone that Intl knows. */
export function isTimeZone(name: string): boolean {
  try {
    zoneOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The period without any change of calendar. */
function regular({ anchorDay, timeZone }: Anchor, at: number): Period {
  const zone = zoneOf(timeZone);
  const latest = zone.latest[anchorDay];
  if (latest !== undefined && at >= latest.start.getTime() && at < latest.end.getTime()) return latest;
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > 31) {
    throw new RangeError(`anchor day ${anchorDay} is not in 1-31`);
  }
  const wall = new Date(wallMs(zone, at));
  let month = wall.getUTCFullYear() * 12 + wall.getUTCMonth();
  // The wall clock may be set back over a boundary: what counts are the boundaries, not the month it shows.
  while (at < boundary(zone, anchorDay, month)) month -= 1;
  while (at >= boundary(zone, anchorDay, month + 1)) month += 1;
  const period = {
    start: new Date(boundary(zone, anchorDay, month)),
    end: new Date(boundary(zone, anchorDay, month + 1)),
  };
  zone.latest[anchorDay] = period;
  return period;
}

/** The instant at which the period anchored in `month` (years x 12 + months) starts. */
function boundary(zone: Zone, anchorDay: number, month: number): number {
  const year = Math.floor(month / 12);
  const length = new Date(Date.UTC(year, (month % 12) + 1, 0)).getUTCDate();
  return dayStart(zone, Date.UTC(year, month % 12, Math.min(anchorDay, length)));
}

/** The first instant at which the zone's wall clock shows that day, given as its midnight in UTC. */
function dayStart(zone: Zone, midnight: number): number {
  const before = wallMs(zone, midnight - DAY_MS) - (midnight - DAY_MS);
  const after = wallMs(zone, midnight + DAY_MS) - (midnight + DAY_MS);
  const candidates = [midnight - before, midnight - after].filter((at) => wallMs(zone, at) === midnight);
  if (candidates.length > 0) return Math.min(...candidates);
  // Midnight is skipped: the first instant after the jump.
  let low = midnight - Math.max(before, after) - 1;
  let high = midnight - Math.min(before, after);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (wallMs(zone, middle) < midnight) low = middle;
    else high = middle;
  }
  return high;
}

/** What the zone's wall clock shows, as if it were UTC. */
function wallMs(zone: Zone, at: number): number {
  const seconds = Math.floor(at / 1000);
  const shown = zone.format.format(seconds * 1000);
  return (
    Date.parse(`${shown.slice(6, 10)}-${shown.slice(0, 2)}-${shown.slice(3, 5)}T${shown.slice(12, 20)}Z`) +
    (at - seconds * 1000)
  );
}

function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  if (zones.size >= MAX_ZONES) zones.clear();
  const zone: Zone = { format, latest: [] };
  zones.set(name, zone);
  return zone;
}
