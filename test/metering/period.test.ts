import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Anchor,
  type Calendar,
  changeCalendar,
  isTimeZone,
  nextPeriod,
  type Period,
  periodAt,
  periodDate,
  periodStarting,
  previousPeriod,
} from "../../src/metering/period.ts";

const day = 86_400_000;
const utc = (anchorDay: number, timeZone = "UTC"): Calendar => ({ anchorDay, timeZone });
const iso = ({ start, end }: Period) => `${start.toISOString()} ${end.toISOString()}`;

/** Zones with jumps at midnight, by half hours, over the date line, at one past midnight, and quiet ones. */
const timeZone = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/Sao_Paulo",
  "America/Havana",
  "America/Santiago",
  "America/Asuncion",
  "America/St_Johns",
  "Asia/Beirut",
  "Asia/Gaza",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Antarctica/Troll",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Pacific/Kiritimati",
);
const anchor: fc.Arbitrary<Anchor> = fc.record({ anchorDay: fc.integer({ min: 1, max: 31 }), timeZone });
const instant = fc.date({ min: new Date("1992-01-01"), max: new Date("2090-01-01"), noInvalidDate: true });

/** A calendar with or without a change, at the end of a period as the product makes them. */
const calendar: fc.Arbitrary<Calendar> = fc
  .record({ from: anchor, to: fc.option(anchor), changed: instant })
  .map(({ from, to, changed }) => (to === null ? from : (changeCalendar(from, to, changed) as Calendar)));
/** Also instants within days of the change, where mistakes would be. */
const moment = fc
  .tuple(calendar, instant, fc.integer({ min: -40 * day, max: 40 * day }), fc.boolean())
  .map(([c, at, offset, near]): [Calendar, Date] => [
    c,
    near && c.next !== undefined ? new Date(c.next.changesAt.getTime() + offset) : at,
  ]);

function tiles(at: typeof periodAt) {
  return fc.property(moment, ([c, now]) => {
    const period = at(c, now);
    expect(period.start.getTime()).toBeLessThanOrEqual(now.getTime());
    expect(period.end.getTime()).toBeGreaterThan(now.getTime());
    expect(iso(at(c, period.start))).toBe(iso(period));
    expect(iso(at(c, new Date(period.end.getTime() - 1)))).toBe(iso(period));
    expect(at(c, period.end).start).toEqual(period.end);
    expect(at(c, new Date(period.start.getTime() - 1)).end).toEqual(period.start);
  });
}

describe("the periods of a calendar", () => {
  test("tile time: each instant is in exactly one, whose neighbours touch it", () => {
    fc.assert(tiles(periodAt), { numRuns: 3000 });
  });

  test("control: months of thirty days, or bounds cut without care for the change, do not pass as tiles", () => {
    const thirtyDays = (_: Calendar, at: Date): Period => {
      const start = Math.floor(at.getTime() / day) * day;
      return { start: new Date(start), end: new Date(start + 30 * day) };
    };
    const uncut = (c: Calendar, at: Date) =>
      periodAt(
        c.next !== undefined && at >= c.next.changesAt
          ? utc(c.next.anchorDay, c.next.timeZone)
          : utc(c.anchorDay, c.timeZone),
        at,
      );
    expect(() => fc.assert(tiles(thirtyDays), { endOnFailure: true })).toThrow();
    expect(() => fc.assert(tiles(uncut), { numRuns: 3000, endOnFailure: true })).toThrow();
  });

  test("start when the wall clock first shows the anchor day, or the last day of a shorter month", () => {
    fc.assert(
      fc.property(anchor, instant, ({ anchorDay, timeZone }, now) => {
        const { start, end } = periodAt(utc(anchorDay, timeZone), now);
        const shown = wall(timeZone, start);
        const length = new Date(Date.UTC(Number(shown.slice(0, 4)), Number(shown.slice(5, 7)), 0)).getUTCDate();
        const skipped = timeZone === "Pacific/Apia" && shown.startsWith("2011-12-31");
        if (!skipped) expect(Number(shown.slice(8, 10))).toBe(Math.min(anchorDay, length));
        expect(wall(timeZone, new Date(start.getTime() - 1)).slice(0, 10) < shown.slice(0, 10)).toBe(true);
        const days = (end.getTime() - start.getTime()) / day;
        expect(days).toBeGreaterThan(26.9);
        expect(days).toBeLessThan(31.1);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    [
      "the first of the month in UTC",
      utc(1),
      "2026-11-22T12:00:00Z",
      "2026-11-01T00:00:00.000Z 2026-12-01T00:00:00.000Z",
    ],
    [
      "the start belongs to the period",
      utc(1),
      "2026-12-01T00:00:00Z",
      "2026-12-01T00:00:00.000Z 2027-01-01T00:00:00.000Z",
    ],
    [
      "the last millisecond before it does not",
      utc(1),
      "2026-11-30T23:59:59.999Z",
      "2026-11-01T00:00:00.000Z 2026-12-01T00:00:00.000Z",
    ],
    ["the 31st in February", utc(31), "2026-03-01T00:00:00Z", "2026-02-28T00:00:00.000Z 2026-03-31T00:00:00.000Z"],
    [
      "the 31st after February: from the anchor, not from the 28th",
      utc(31),
      "2026-04-01T00:00:00Z",
      "2026-03-31T00:00:00.000Z 2026-04-30T00:00:00.000Z",
    ],
    ["the 30th in a leap year", utc(30), "2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z 2028-03-30T00:00:00.000Z"],
    [
      "an instant of the last day before a clamped start",
      utc(29),
      "2027-02-27T23:59:59Z",
      "2027-01-29T00:00:00.000Z 2027-02-28T00:00:00.000Z",
    ],
    [
      "the zone's midnight, summer and winter",
      utc(1, "Europe/Berlin"),
      "2026-10-15T00:00:00Z",
      "2026-09-30T22:00:00.000Z 2026-10-31T23:00:00.000Z",
    ],
    [
      "midnight skipped by summer time",
      utc(15, "America/Sao_Paulo"),
      "2017-10-20T00:00:00Z",
      "2017-10-15T03:00:00.000Z 2017-11-15T02:00:00.000Z",
    ],
    [
      "midnight skipped by summer time, in the future",
      utc(29, "Asia/Beirut"),
      "2026-04-01T00:00:00Z",
      "2026-03-28T22:00:00.000Z 2026-04-28T21:00:00.000Z",
    ],
    [
      "midnight that comes twice: the first",
      utc(1, "America/Havana"),
      "2026-11-01T04:30:00Z",
      "2026-11-01T04:00:00.000Z 2026-12-01T05:00:00.000Z",
    ],
    [
      "... and its second coming is inside",
      utc(1, "America/Havana"),
      "2026-11-01T05:00:00Z",
      "2026-11-01T04:00:00.000Z 2026-12-01T05:00:00.000Z",
    ],
    [
      "a wall clock set back over the boundary",
      utc(7, "America/St_Johns"),
      "2010-11-07T03:00:00Z",
      "2010-11-07T02:30:00.000Z 2010-12-07T03:30:00.000Z",
    ],
    [
      "a day that never was",
      utc(30, "Pacific/Apia"),
      "2012-01-03T00:00:00Z",
      "2011-12-30T10:00:00.000Z 2012-01-29T10:00:00.000Z",
    ],
    [
      "a zone ahead by fourteen hours",
      utc(1, "Pacific/Kiritimati"),
      "2026-10-31T10:00:00Z",
      "2026-10-31T10:00:00.000Z 2026-11-30T10:00:00.000Z",
    ],
  ])("%s", (_, c, at, expected) => {
    expect(iso(periodAt(c, new Date(at)))).toBe(expected);
  });

  test("step forth and back to the same period", () => {
    fc.assert(
      fc.property(moment, ([c, now]) => {
        const period = periodAt(c, now);
        expect(iso(previousPeriod(c, nextPeriod(c, period)))).toBe(iso(period));
      }),
    );
  });

  test("are found again by their start date, and by no other", () => {
    fc.assert(
      fc.property(moment, ([c, now]) => {
        const period = periodAt(c, now);
        const date = periodDate(c, period);
        expect(iso(periodStarting(c, date) as Period)).toBe(iso(period));
        for (const other of [nextPeriod(c, period), previousPeriod(c, period)])
          expect(periodDate(c, other)).not.toBe(date);
      }),
      { numRuns: 3000 },
    );
  });

  test.each(["2026-11-02", "2026-02-30", "2026-13-01", "26-11-01", "2026-11-01T00:00:00Z", "", "NaN", "2026-1-1"])(
    "none starts on %j",
    (date) => expect(periodStarting(utc(1), date)).toBeUndefined(),
  );

  test("the latest one is remembered, as the same object, and a clock that goes back still gets its own", () => {
    const c = utc(1, "Europe/Paris");
    const november = periodAt(c, new Date("2026-11-10"));
    expect(periodAt({ ...c }, new Date("2026-11-20"))).toBe(november);
    expect(iso(periodAt(c, new Date("2026-10-10")))).toBe("2026-09-30T22:00:00.000Z 2026-10-31T23:00:00.000Z");
    expect(iso(periodAt(c, new Date("2026-11-10")))).toBe(iso(november));
  });
});

describe("a change of calendar", () => {
  const november = new Date("2026-11-22T00:00:00Z");

  test("starts when the running period ends, with one short period", () => {
    const c = changeCalendar(utc(1), utc(15, "Europe/Berlin"), november) as Calendar;
    const names = ["2026-11-22", "2026-12-05", "2026-12-20"].map((at) => iso(periodAt(c, new Date(at))));
    expect(names).toEqual([
      "2026-11-01T00:00:00.000Z 2026-12-01T00:00:00.000Z",
      "2026-12-01T00:00:00.000Z 2026-12-14T23:00:00.000Z",
      "2026-12-14T23:00:00.000Z 2027-01-14T23:00:00.000Z",
    ]);
  });

  test("to a zone further west keeps the names of its periods apart", () => {
    const c = changeCalendar(utc(1), utc(1, "America/New_York"), november) as Calendar;
    const short = periodAt(c, new Date("2026-12-01T01:00:00Z"));
    expect(iso(short)).toBe("2026-12-01T00:00:00.000Z 2026-12-01T05:00:00.000Z");
    expect(periodDate(c, short)).toBe("2026-11-30");
    expect(periodDate(c, nextPeriod(c, short))).toBe("2026-12-01");
  });

  test("never moves the end of the running period, whatever is changed and how often", () => {
    fc.assert(
      fc.property(
        anchor,
        fc.array(fc.tuple(anchor, fc.integer({ min: 0, max: 50 * day })), { maxLength: 8 }),
        (first, changes) => {
          let c: Calendar = first;
          let now = november.getTime();
          for (const [to, later] of changes) {
            now += later;
            const running = periodAt(c, new Date(now));
            c = changeCalendar(c, to, new Date(now)) ?? c;
            expect(iso(periodAt(c, new Date(now)))).toBe(iso(running));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("is not taken while the short period of the last one runs, and is taken after it", () => {
    const c = changeCalendar(utc(1), utc(15), november) as Calendar;
    expect(changeCalendar(c, utc(20), new Date("2026-12-05"))).toBeUndefined();
    expect(changeCalendar(c, utc(20), new Date("2026-12-20"))).toEqual({
      ...utc(15),
      next: { ...utc(20), changesAt: new Date("2027-01-15T00:00:00Z") },
    });
  });

  test("replaces one that waits, and the old calendar asked for again leaves none", () => {
    const c = changeCalendar(utc(1), utc(15), november) as Calendar;
    expect(changeCalendar(c, utc(20), november)?.next?.anchorDay).toBe(20);
    expect(changeCalendar(c, utc(1), november)).toEqual(utc(1));
  });
});

test.each([0, 32, 1.5, Number.NaN])("anchor day %j is a RangeError", (anchorDay) => {
  expect(() => periodAt(utc(anchorDay), new Date())).toThrow(RangeError);
});

test("a zone that Intl doesn't know is a RangeError", () => {
  expect(() => periodAt(utc(1, "Europe/Atlantis"), new Date())).toThrow(RangeError);
  expect([isTimeZone("Europe/Berlin"), isTimeZone("Europe/Atlantis"), isTimeZone("")]).toEqual([true, false, false]);
});

/** Another way to ask for the wall clock: the Swedish locale writes ISO dates. */
function wall(timeZone: string, at: Date): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" }).format(at);
}
