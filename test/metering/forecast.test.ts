import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DayUnits, type ForecastInput, forecast, usualDay } from "../../src/metering/forecast.ts";

const DAY_MS = 86_400_000;
const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
const TODAY = Date.parse("2026-11-16T00:00:00Z"); // a Monday

/** The days before today, as `units` has them by date and by how many days ago it is. */
function daysBefore(days: number, units: (date: Date, ago: number) => number): DayUnits[] {
  return Array.from({ length: days }, (_, i) => {
    const at = new Date(TODAY - (days - i) * DAY_MS);
    return { date: dateOf(at.getTime()), units: units(at, days - i) };
  });
}

/** Today and 14 days more: the period ends with November. */
const dates = Array.from({ length: 15 }, (_, i) => dateOf(TODAY + i * DAY_MS));
const from = (history: readonly DayUnits[], more: Partial<ForecastInput> = {}) =>
  forecast({ history, dates, todayShare: 0, used: 0, base: null, ...more });

const isWeekend = (date: Date) => date.getUTCDay() % 6 === 0;

describe("what is told of", () => {
  test("a flat account: the day on which it arrives, with a narrow band around it", () => {
    const flat = from(
      daysBefore(28, () => 100),
      { used: 1500, base: 2200 },
    );
    expect(flat).toMatchObject({
      state: "expected",
      reaches: { expected: "2026-11-22", earliest: "2026-11-22", latest: "2026-11-23" },
      days: 28,
    });
    expect(flat.atEnd?.expected).toBe(3000);
    expect(flat.atEnd!.high - flat.atEnd!.low).toBeLessThan(160);
  });

  test("a scattered account of the same average: a wider band around about the same day", () => {
    const noise = [0, 230, 40, 170, 90, 10, 160];
    const flat = from(
      daysBefore(28, () => 100),
      { used: 1500, base: 2200 },
    );
    const scattered = from(
      daysBefore(28, (_, ago) => noise[((ago * 5) % 11) % 7]!),
      { used: 1500, base: 2200 },
    );
    expect(scattered.state).toBe("expected");
    expect(scattered.reaches.earliest! < flat.reaches.earliest!).toBe(true);
    expect(scattered.reaches.latest! > flat.reaches.latest!).toBe(true);
  });

  test("an account that rests at weekends does not arrive at one", () => {
    const weekdays = daysBefore(28, (date) => (isWeekend(date) ? 0 : 100));
    expect(from(weekdays, { used: 0, base: 500 }).reaches.expected).toBe("2026-11-20"); // Friday
    expect(from(weekdays, { used: 0, base: 501 }).reaches.expected).toBe("2026-11-23"); // Monday
    expect(from(weekdays).atEnd?.expected).toBe(1100); // eleven working days are left
    // Without weekdays the weekend would bring it there.
    const even = daysBefore(28, () => (100 * 5) / 7);
    expect(from(even, { used: 0, base: 501 }).reaches.expected).toBe("2026-11-23");
    expect(from(even, { used: 0, base: 360 }).reaches.expected).toBe("2026-11-21");
    expect(from(weekdays, { used: 0, base: 360 }).reaches.expected).toBe("2026-11-19");
  });

  test("a weekly letter arrives on its weekday", () => {
    const thursdays = daysBefore(28, (date) => (date.getUTCDay() === 4 ? 7000 : 0));
    expect(from(thursdays, { used: 14_000, base: 20_000 }).reaches.expected).toBe("2026-11-19");
    expect(from(thursdays, { used: 14_000, base: 27_000 }).reaches.expected).toBe("2026-11-26");
  });

  test("a growing account: it goes on to grow", () => {
    const growing = daysBefore(28, (_, ago) => 380 - 10 * ago); // 370 yesterday
    const steady = daysBefore(28, () => 370);
    const end = from(growing).atEnd!;
    const exact = dates.reduce((sum, _, i) => sum + 380 + 10 * i, 0);
    expect(end.expected).toBeGreaterThan(from(steady).atEnd!.expected);
    expect(Math.abs(end.expected - exact) / exact).toBeLessThan(0.08);
  });

  test("one odd day makes no trend", () => {
    const end = from(daysBefore(28, (_, ago) => (ago === 3 ? 2000 : 100))).atEnd!;
    expect(end.expected).toBeGreaterThan(1500);
    expect(end.expected).toBeLessThan(4500);
  });

  test("an account of a few days: the average, and a band that says how little is known", () => {
    const three = from([...daysBefore(25, () => 0), ...daysBefore(3, () => 100)].slice(-28), { used: 300, base: 1000 });
    expect(three).toMatchObject({ state: "expected", days: 3 });
    expect(three.reaches).toEqual({ expected: "2026-11-22", earliest: "2026-11-21", latest: "2026-11-25" });
    const one = from(
      daysBefore(1, () => 100),
      { used: 100, base: 1000 },
    );
    expect(one).toMatchObject({ state: "expected", reaches: { expected: "2026-11-24", latest: null }, days: 1 });
  });

  test("no day to go by: nothing is made up", () => {
    expect(from([], { used: 50, base: 100 })).toEqual({
      state: "unknown",
      reaches: { expected: null, earliest: null, latest: null },
      atEnd: null,
      days: 0,
    });
    expect(
      from(
        daysBefore(28, () => 0),
        { used: 50, base: 100 },
      ).state,
    ).toBe("unknown");
  });

  test("an account that never sends", () => {
    const idle = from(
      daysBefore(28, () => 0),
      { base: 100 },
    );
    expect(idle).toMatchObject({ state: "not_expected", atEnd: { expected: 0, low: 0, high: 0 }, days: 0 });
  });

  test("no limit: what will be used, and no day", () => {
    const unlimited = from(daysBefore(28, () => 100));
    expect(unlimited).toMatchObject({ state: "no_limit", reaches: { expected: null, earliest: null, latest: null } });
    expect(unlimited.atEnd?.expected).toBe(1500);
  });

  test("what is used up already, also a limit of nothing", () => {
    const today = { expected: "2026-11-16", earliest: "2026-11-16", latest: "2026-11-16" };
    expect(
      from(
        daysBefore(28, () => 100),
        { used: 100, base: 100 },
      ),
    ).toMatchObject({ state: "reached", reaches: today });
    expect(from([], { used: 0, base: 0 })).toMatchObject({ state: "reached", reaches: today, atEnd: null });
  });

  test("what comes after the reset is not told; what may come before it is", () => {
    const flat = daysBefore(28, () => 100);
    expect(from(flat, { base: 1700 }).state).toBe("not_expected");
    expect(from(flat, { base: 1530 })).toMatchObject({ state: "possible", reaches: { expected: null } });
  });

  test("of today only what is left of it counts", () => {
    const flat = daysBefore(28, () => 100);
    expect(from(flat, { used: 0, base: 90 }).reaches.expected).toBe("2026-11-16");
    expect(from(flat, { used: 0, base: 90, todayShare: 0.5 }).reaches.expected).toBe("2026-11-17");
    expect(from(flat, { todayShare: 1 }).atEnd?.expected).toBe(1400);
  });
});

test("what is usual on a day: that weekday's, and an average day's", () => {
  const weekdays = daysBefore(28, (date) => (isWeekend(date) ? 0 : 100));
  expect(usualDay(weekdays, "2026-11-16")?.of).toBeCloseTo(100);
  expect(usualDay(weekdays, "2026-11-21")?.of).toBe(0);
  expect(usualDay(weekdays, "2026-11-21")?.average).toBeCloseTo(500 / 7);
  expect(usualDay([], "2026-11-16")).toBeUndefined();
});

describe("whatever the days were", () => {
  const any = fc.record({
    history: fc.array(fc.oneof(fc.constant(0), fc.nat(1000), fc.nat(1_000_000)), { maxLength: 40 }),
    left: fc.integer({ min: 1, max: 31 }),
    todayShare: fc.double({ min: 0, max: 1, noNaN: true }),
    used: fc.nat(10_000_000),
    base: fc.nat(20_000_000),
  });
  type Any = typeof any extends fc.Arbitrary<infer T> ? T : never;
  const told = ({ history, left, ...rest }: Any, scale = 1) =>
    forecast({
      ...rest,
      history: daysBefore(history.length, (_, ago) => history[history.length - ago]! * scale),
      dates: Array.from({ length: left }, (_, i) => dateOf(TODAY + i * DAY_MS)),
    });
  /** Null is after all dates. */
  const order = (date: string | null) => date ?? "9999";
  const days = ["earliest", "expected", "latest"] as const;

  test("no day lies before today or after the period, and the band holds what is expected", () => {
    fc.assert(
      fc.property(any, (one) => {
        const { reaches, atEnd } = told(one);
        for (const day of days) {
          expect(order(reaches[day]) >= "2026-11-16").toBe(true);
          if (reaches[day] !== null) expect(reaches[day] <= dateOf(TODAY + (one.left - 1) * DAY_MS)).toBe(true);
        }
        expect(order(reaches.earliest) <= order(reaches.expected)).toBe(true);
        expect(order(reaches.expected) <= order(reaches.latest)).toBe(true);
        if (atEnd === null) return;
        expect(atEnd.low).toBeGreaterThanOrEqual(one.used);
        expect(atEnd.low).toBeLessThanOrEqual(atEnd.expected);
        expect(atEnd.expected).toBeLessThanOrEqual(atEnd.high);
        expect(Number.isSafeInteger(atEnd.high)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("more used, or a smaller limit, is never later; busier days neither", () => {
    fc.assert(
      fc.property(any, fc.nat(1_000_000), fc.integer({ min: 1, max: 5 }), (one, more, scale) => {
        fc.pre(one.used > 0);
        const was = told(one);
        fc.pre(was.state !== "unknown");
        const changed = [
          told({ ...one, used: one.used + more }),
          told({ ...one, base: Math.max(0, one.base - more) }),
          told(one, scale),
        ];
        for (const now of changed) {
          for (const day of days) expect(order(now.reaches[day]) <= order(was.reaches[day])).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
