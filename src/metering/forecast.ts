/**
 * When an account will have used all that it may, and what it will have used when its period ends: from the days before.
 *
 * What a day brings is the level of the last weeks (the nearer, the heavier) with their trend (the median of the slopes
 * between weeks, so one odd week bends nothing), times what its weekday makes of it. The band holds four of five outcomes:
 * it grows with the scatter of the days and with the time ahead, and with few days known it is wide.
 *
 * Invariant: pure; no day before today; earliest <= expected <= latest; more used, or a smaller base, is never later.
 */

/** `date`: a day of the master's zone, `2026-11-01`. */
export type DayUnits = Readonly<{ date: string; units: number }>;

export type ForecastInput = Readonly<{
  /** The whole days before today, oldest first, none left out; days before the account was there are not among them. */
  history: readonly DayUnits[];
  /** Today and what follows of the period. */
  dates: readonly string[];
  /** How much of today has gone by, 0 to 1. */
  todayShare: number;
  /** In the period. */
  used: number;
  /** What 100 % is: limit with top-ups, or the master's allowance; null: none. */
  base: number | null;
}>;

/**
 * `expected`: in this period. `possible`: within the band only. `unknown`: too few days to say. What stops at the base
 * stops there all the same: the figures say what would be sent.
 */
export type ForecastState = "reached" | "expected" | "possible" | "not_expected" | "no_limit" | "unknown";

export type Forecast = Readonly<{
  state: ForecastState;
  /** The day on which the base is used up, each null where that is not in this period. */
  reaches: Readonly<{ expected: string | null; earliest: string | null; latest: string | null }>;
  /** Units used when the period ends; null: unknown. */
  atEnd: Readonly<{ expected: number; low: number; high: number }> | null;
  /** How many days it is drawn from. */
  days: number;
}>;

export const HISTORY_DAYS = 28;
const WEEK = 7;
/** Of the weeks before, from the nearest on. */
const WEIGHTS = [4, 3, 2, 1];
const MOST_TREND = 0.25; // of the level, in a week
const BAND = 1.28; // standard deviations to each side

export function forecast(input: ForecastInput): Forecast {
  const { dates, used, base } = input;
  const outlook = outlookOf(input.history);
  if (base !== null && used >= base) return reachedAlready(input, outlook);
  if (outlook === undefined || (outlook.days === 0 && used > 0)) {
    const nowhere = { expected: null, earliest: null, latest: null };
    return { state: base === null ? "no_limit" : "unknown", reaches: nowhere, atEnd: null, days: 0 };
  }
  const course = courseOf(outlook, input);
  const first = (more: readonly number[]) =>
    base === null ? null : (dates[more.findIndex((units) => used + units >= base)] ?? null);
  const reaches = { expected: first(course.expected), earliest: first(course.high), latest: first(course.low) };
  return { state: stateOf(base, reaches), reaches, atEnd: endOf(course, used), days: outlook.days };
}

/** What a day usually brings: `of` that weekday, and an `average` one; undefined without a day to go by. */
export function usualDay(
  history: readonly DayUnits[],
  date: string,
): { of: number; average: number; days: number } | undefined {
  const outlook = outlookOf(history);
  if (outlook === undefined) return undefined;
  return { of: outlook.expect(0, date), average: outlook.level, days: outlook.days };
}

function stateOf(base: number | null, { expected, earliest }: Forecast["reaches"]): ForecastState {
  if (base === null) return "no_limit";
  if (expected !== null) return "expected";
  return earliest === null ? "not_expected" : "possible";
}

function reachedAlready(input: ForecastInput, outlook: Outlook | undefined): Forecast {
  const today = input.dates[0] ?? null;
  const known = outlook !== undefined && (outlook.days > 0 || input.used === 0);
  return {
    state: "reached",
    reaches: { expected: today, earliest: today, latest: today },
    atEnd: known ? endOf(courseOf(outlook, input), input.used) : null,
    days: outlook?.days ?? 0,
  };
}

type Outlook = Readonly<{
  /** What day `i` from today brings. */
  expect(i: number, date: string): number;
  /** Of an average day. */
  level: number;
  /** Standard deviation of a day. */
  spread: number;
  days: number;
}>;

/** Undefined: nothing to go by. Days before the first use say nothing, unless there never was any. */
function outlookOf(history: readonly DayUnits[]): Outlook | undefined {
  const begun = history.findIndex(({ units }) => units > 0);
  if (begun < 0) {
    return history.length < WEEK ? undefined : { expect: () => 0, level: 0, spread: 0, days: 0 };
  }
  const known = history.slice(begun).slice(-HISTORY_DAYS);
  const weeks = Math.floor(known.length / WEEK);
  const days = weeks === 0 ? known : known.slice(-weeks * WEEK);
  const { level, at } = levelOf(days, weeks);
  const weekdays = weekdayFactors(days, weeks);
  const expect = (i: number, date: string) => Math.max(0, at(i)) * (weekdays[weekdayOf(date)] ?? 1);
  const scatter = days.map(({ date, units }, j) => units - expect(j - days.length, date));
  return { expect, level, spread: spreadOf(scatter, level, weeks), days: days.length };
}

/** `at`: the level on day `i` from today, along the trend. */
function levelOf(days: readonly DayUnits[], weeks: number): { level: number; at(i: number): number } {
  const all = mean(days.map(({ units }) => units));
  if (weeks === 0) return { level: all, at: () => all };
  const means = Array.from({ length: weeks }, (_, back) => {
    const end = days.length - back * WEEK;
    return mean(days.slice(end - WEEK, end).map(({ units }) => units));
  });
  const weights = WEIGHTS.slice(0, weeks);
  const level = weighted(means, weights);
  const age = weighted(
    means.map((_, back) => back),
    weights,
  );
  const most = level * MOST_TREND;
  const trend = weeks < 3 ? 0 : Math.min(most, Math.max(-most, medianSlope(means)));
  const middle = -(WEEK + 1) / 2; // of the nearest week, as a day from today
  return { level, at: (i) => level + trend * (age + (i - middle) / WEEK) };
}

/** Of the values (newest first), by one step of time; between two in the middle the flatter one. */
function medianSlope(values: readonly number[]): number {
  const slopes = values.flatMap((newer, i) => values.slice(i + 1).map((older, j) => (newer - older) / (j + 1)));
  const sorted = slopes.sort((a, b) => a - b);
  const half = sorted.length / 2;
  const [a = 0, b = 0] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  return a * b <= 0 ? 0 : Math.abs(a) < Math.abs(b) ? a : b;
}

/** By weekday from Sunday on; two weeks are needed to tell a weekday from chance. */
function weekdayFactors(days: readonly DayUnits[], weeks: number): readonly number[] {
  const all = mean(days.map(({ units }) => units));
  if (weeks < 2 || all === 0) return [];
  return Array.from({ length: WEEK }, (_, weekday) => {
    const same = days.filter(({ date }) => weekdayOf(date) === weekday);
    return same.length === 0 ? 1 : mean(same.map(({ units }) => units)) / all;
  });
}

/** Never less than chance alone would scatter, nor than the share of one day among those that are known. */
function spreadOf(scatter: readonly number[], level: number, weeks: number): number {
  const fitted = weeks < 2 ? 1 : WEEK + 1;
  const squares = scatter.reduce((sum, off) => sum + off * off, 0);
  const seen = Math.sqrt(squares / Math.max(1, scatter.length - fitted));
  return Math.max(seen, Math.sqrt(level), level / scatter.length);
}

type Course = Readonly<{ expected: readonly number[]; low: readonly number[]; high: readonly number[] }>;

/** Units that come from now to the end of each date. */
function courseOf(outlook: Outlook, { dates, todayShare }: ForecastInput): Course {
  const expected: number[] = [];
  const low: number[] = [];
  const high: number[] = [];
  let sum = 0;
  let least = 0;
  let time = 0; // days
  for (const [i, date] of dates.entries()) {
    const share = i === 0 ? 1 - todayShare : 1;
    sum += outlook.expect(i, date) * share;
    time += share;
    const known = Math.max(1, outlook.days);
    const off = BAND * outlook.spread * Math.sqrt(time + (time * time) / known);
    least = Math.max(least, sum - off);
    expected.push(sum);
    low.push(least);
    high.push(Math.max(sum + off, high.at(-1) ?? 0));
  }
  return { expected, low, high };
}

function endOf({ expected, low, high }: Course, used: number): Forecast["atEnd"] {
  return {
    expected: used + Math.round(expected.at(-1) ?? 0),
    low: used + Math.floor(low.at(-1) ?? 0),
    high: used + Math.ceil(high.at(-1) ?? 0),
  };
}

/** 0 is Sunday. */
function weekdayOf(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay();
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function weighted(values: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return values.reduce((sum, value, i) => sum + value * (weights[i] ?? 0), 0) / total;
}
