/** Dates of a zone: none is missed or doubled, whatever was done to its clocks. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { dateIndex, datesOf, partsOfDay } from "../../src/metering/dates.ts";
import { periodStarting } from "../../src/metering/period.ts";

const datesIn = (timeZone: string, date: string, until = new Date("2100-01-01T00:00:00Z")) => {
  const calendar = { anchorDay: Number(date.slice(8)), timeZone };
  return datesOf(calendar, periodStarting(calendar, date)!, until);
};
const hoursOf = (timeZone: string, month: string, date: string) => {
  const dates = datesIn(timeZone, month);
  const i = dates.findIndex((one) => one.date === date);
  return (dates[i + 1]!.startMs - dates[i]!.startMs) / 3_600_000;
};

test.for([
  ["a plain one", "UTC", "2026-11-01", "2026-11-10", 24],
  ["clocks go forward", "America/New_York", "2026-03-01", "2026-03-08", 23],
  ["clocks go back", "America/New_York", "2026-11-01", "2026-11-01", 25],
  ["by half an hour", "Australia/Lord_Howe", "2026-04-01", "2026-04-05", 24.5],
  ["midnight is skipped", "America/Santiago", "2026-09-01", "2026-09-06", 23],
  ["midnight comes twice", "America/Havana", "2026-11-01", "2026-11-01", 25],
] as const)("%s: the date has its hours", ([, timeZone, month, date, hours]) => {
  expect(hoursOf(timeZone, month, date)).toBe(hours);
});

test("a date that the zone has left out is not among them, and the one before it has its own day only", () => {
  const dates = datesIn("Pacific/Apia", "2011-12-01");
  expect(dates.map(({ date }) => date.slice(8)).join(" ")).toBe(
    "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 31",
  );
  expect(hoursOf("Pacific/Apia", "2011-12-01", "2011-12-29")).toBe(24);
});

test("they end with the period, or with today", () => {
  expect(datesIn("Asia/Kathmandu", "2026-02-10").at(-1)?.date).toBe("2026-03-09");
  expect(datesIn("Asia/Kathmandu", "2026-02-10", new Date("2026-02-12T18:14:59.999Z")).at(-1)?.date).toBe("2026-02-12");
  expect(datesIn("Asia/Kathmandu", "2026-02-10", new Date("2026-02-12T18:15:00Z")).at(-1)?.date).toBe("2026-02-13");
});

test("what is older than the first date is the first one's, what comes after the last the last one's", () => {
  const dates = datesIn("UTC", "2026-11-01");
  const at = (text: string) => dateIndex(dates, Date.parse(text));
  expect([at("2026-10-31T23:59:59Z"), at("2026-11-01T00:00:00Z"), at("2026-11-01T23:59:59.999Z")]).toEqual([0, 0, 0]);
  expect([at("2026-11-02T00:00:00Z"), at("2026-12-05T00:00:00Z")]).toEqual([1, 29]);
});

const zones = fc.constantFrom(...Intl.supportedValuesOf("timeZone"));
const days = fc.integer({ min: 0, max: 366 * 60 }).map((n) => new Date(n * 86_400_000).toISOString().slice(0, 10));

test("the parts of a day tile it, and each lies within one date of the zone", () => {
  fc.assert(
    fc.property(zones, days, (timeZone, day) => {
      const parts = partsOfDay(day, timeZone);
      expect([parts[0]?.fromMs, parts.at(-1)?.toMs]).toEqual([Date.parse(day), Date.parse(day) + 86_400_000]);
      for (const [i, part] of parts.entries()) if (i > 0) expect(part.fromMs).toBe(parts[i - 1]?.toMs);
      const dates = datesIn(timeZone, firstAround(timeZone, day));
      for (const { fromMs, toMs } of parts) {
        expect(fromMs).toBeLessThan(toMs);
        expect(dateIndex(dates, fromMs)).toBe(dateIndex(dates, toMs - 1));
      }
    }),
    { numRuns: 300 },
  );
});

/** The start of a period in which the day lies, in that zone. */
function firstAround(timeZone: string, day: string): string {
  const from = Date.parse(day) - 5 * 86_400_000;
  const dates = [0, 1, 2].map((n) => new Date(from - n * 86_400_000).toISOString().slice(0, 10));
  return dates.find((date) => periodStarting({ anchorDay: Number(date.slice(8)), timeZone }, date) !== undefined)!;
}
