/** Statements and usage by day are the same whether days are summed or read from their entries. */
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { readDailyUsage } from "../../src/metering/daily.ts";
import { spansWithout, sumPeriod } from "../../src/metering/kept-sums.ts";
import { spanOf, sumLedger } from "../../src/metering/ledger.ts";
import { type Period, periodDate, periodStarting } from "../../src/metering/period.ts";
import { EVERYTHING } from "../../src/metering/scope.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyDays } from "../../src/metering/verify-days.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { mutateProgram } from "../support/mutant.ts";
import { addEntries, makeDays, type OldEntry } from "../support/old-entries.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const DAY_MS = 86_400_000;

/** Days with 23, 25 and 24.5 hours, without a midnight, with two; a date that never was; the ends of the earth. */
const months = [
  ["Pacific/Apia", "2011-12-01", "Europe/Berlin"],
  ["America/New_York", "2025-11-01", "Asia/Tokyo"],
  ["Australia/Lord_Howe", "2026-04-01", "UTC"],
  ["America/Santiago", "2025-09-05", "America/Havana"],
  ["America/Havana", "2025-10-31", "Pacific/Kiritimati"],
  ["Pacific/Kiritimati", "2026-02-28", "Pacific/Pago_Pago"],
  ["UTC", "2026-06-01", "Asia/Kathmandu"],
] as const;

type Story = Readonly<{
  /** The period is ruled by a calendar that took over with it. */
  changed: boolean;
  entries: readonly Readonly<{ at: number; sub: 0 | 1; kind: OldEntry["kind"]; units: number }>[];
  /** Of the summed days, those (by their number, round about) whose word is taken back. */
  reopened: readonly number[];
}>;

/** Instants of a span; half of them lie close to the start of a quarter of an hour, where days and dates begin. */
const instantsOf = ({ fromMs, toMs }: { fromMs: number; toMs: number }) => {
  const quarter = 900_000;
  const any = fc.integer({ min: fromMs - 3_600_000, max: toMs + 3_600_000 });
  return fc.oneof(
    any,
    fc.tuple(any, fc.integer({ min: -2, max: 2 })).map(([ms, off]) => Math.round(ms / quarter) * quarter + off),
    fc.tuple(any, fc.integer({ min: 0, max: 95 })).map(([ms, n]) => Math.floor(ms / DAY_MS) * DAY_MS + n * quarter),
  );
};

const storyOf = (period: Period): fc.Arbitrary<Story> =>
  fc.record({
    changed: fc.boolean(),
    entries: fc.array(
      fc.record({
        at: instantsOf(spanOf(period)),
        sub: fc.constantFrom(0, 1),
        kind: fc.constantFrom("accept", "accept", "accept", "correction", "void"),
        units: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 5, maxLength: 60 },
    ),
    reopened: fc.array(fc.nat(40), { maxLength: 5 }),
  });

test.for(months)("%s, %s: the sums of days and of entries are the same", { timeout: 240_000 }, async (month) => {
  const [timeZone, date, otherZone] = month;
  const database = await testDatabase();
  const period = periodStarting({ anchorDay: Number(date.slice(8)), timeZone }, date)!;
  await makeDays(database, period.start.getTime() - 3 * DAY_MS, period.end.getTime() + 3 * DAY_MS);
  const check = (story: Story) => told(database, { timeZone, otherZone, period }, story);
  await fc.assert(fc.asyncProperty(storyOf(period), check), { numRuns: 6, endOnFailure: true });
});

type Place = Readonly<{ timeZone: string; otherZone: string; period: Period }>;

async function told(database: TestDatabase, { timeZone, otherZone, period }: Place, story: Story): Promise<void> {
  const { db, pool } = database;
  const anchorDay = Number(periodDate({ anchorDay: 1, timeZone }, period).slice(8));
  const { masterId } = await seedMaster(database, story.changed ? { timeZone: otherZone } : { timeZone, anchorDay });
  if (story.changed)
    await pool.query(
      "update master set next_anchor_day = $2, next_time_zone = $3, calendar_changes_at = $4 where id = $1",
      [masterId, anchorDay, timeZone, period.start],
    );
  const subs = [await seedSubaccount(database, masterId), await seedSubaccount(database, masterId)];
  await pool.query("select open_usage($1, $2, $3)", [masterId, period.start, period.end]);
  const entries = story.entries.map(({ at, sub, ...rest }) => {
    const subaccountId = subs[sub]!;
    return { ...rest, atMs: at, masterId, subaccountId, periodStart: period.start };
  });
  await addEntries(database, entries);
  const same = async (zone: string) => {
    expect(await sumPeriod(db, { masterId, period })).toEqual(await sumLedger(db, { masterId, period }));
    for (const id of subs) {
      const { days } = await readDailyUsage(db, operator, id, periodIn(zone, period), database.clock);
      expect(days.filter(({ units, messages, corrections }) => units || messages || corrections)).toEqual(
        expectedDays(entries, id, period, zone),
      );
    }
  };
  await pool.query("delete from summed_day");
  await same(timeZone);
  await sumDays(db, { sliceEntries: 10 });
  const { rows } = await pool.query<{ day: string }>("select entry_day::text as day from summed_day order by 1");
  expect(rows.length).toBeGreaterThan(28);
  await same(timeZone);
  expect(await found(database)).toEqual([]);
  const taken = story.reopened.map((n) => rows[n % rows.length]!.day);
  await pool.query("delete from summed_day where entry_day = any($1::date[])", [taken]);
  await same(timeZone);
  await sumDays(db);
  // Another zone rules the master since, and nobody remembers the one of that period.
  await pool.query(
    "update master set time_zone = $2, next_anchor_day = null, next_time_zone = null, calendar_changes_at = null where id = $1",
    [masterId, otherZone],
  );
  await same(otherZone);
  expect(await found(database)).toEqual([]);
}

const periodIn = (timeZone: string, period: Period) => periodDate({ anchorDay: 1, timeZone }, period);

/** By the wall clock of the zone as Intl has it, entry by entry; nothing of the program's reckoning. */
function expectedDays(entries: readonly OldEntry[], id: SubaccountId, period: Period, timeZone: string) {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" });
  const [first, last] = [format.format(period.start), format.format(period.end.getTime() - 1)];
  const { fromMs, toMs } = spanOf(period);
  const days = new Map<string, { units: number; messages: number; corrections: number }>();
  for (const { atMs, subaccountId, kind, units } of entries) {
    if (subaccountId !== id || kind === "void" || atMs < fromMs || atMs >= toMs) continue;
    const at = format.format(atMs);
    const date = at < first ? first : at > last ? last : at;
    const day = days.get(date) ?? { units: 0, messages: 0, corrections: 0 };
    if (kind === "accept") {
      day.units += units;
      day.messages += 1;
    } else day.corrections += units;
    days.set(date, day);
  }
  return [...days].sort().map(([date, day]) => ({ date, ...day, refused: 0 }));
}

async function found({ db }: TestDatabase): Promise<string[]> {
  const details: string[] = [];
  await verifyDays(db, EVERYTHING, { found: ({ detail }) => void details.push(detail), read: () => {} });
  return details;
}

/** Of 11 June at 20:00 in UTC, which is 12 June in Tokyo; the day is summed as one part. */
async function oneEntry() {
  const database = await testDatabase();
  const period = { start: new Date("2026-06-01T00:00:00Z"), end: new Date("2026-07-01T00:00:00Z") };
  await makeDays(database, period.start.getTime(), period.end.getTime());
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId);
  await database.pool.query("select open_usage($1, $2, $3)", [masterId, period.start, period.end]);
  const atMs = Date.parse("2026-06-11T20:00:00Z");
  await addEntries(database, [{ atMs, masterId, subaccountId, periodStart: period.start, units: 5, kind: "accept" }]);
  await sumDays(database.db);
  const shown = async (read = readDailyUsage) => {
    const { days } = await read(database.db, operator, subaccountId, "2026-06-01", database.clock);
    const sums = await sumPeriod(database.db, { masterId, period });
    return [sums.get(subaccountId)?.units, ...days.filter(({ units }) => units > 0)];
  };
  return { database, masterId, shown };
}

const day = { date: "2026-06-11", units: 5, messages: 1, corrections: 0, refused: 0 };

test("control: a kept sum that lies is believed, so these comparisons would see it", async () => {
  const { database, shown } = await oneEntry();
  expect(await shown()).toEqual([5, day]);
  await database.pool.query("update usage_day set units = 6");
  expect(await shown()).toEqual([6, { ...day, units: 6 }]);
  await database.pool.query("delete from summed_day");
  expect(await shown()).toEqual([5, day]);
});

test("control: a sum that reaches over two dates of another zone would be put on the wrong one", async () => {
  const { database, masterId, shown } = await oneEntry();
  await database.pool.query("update master set time_zone = 'Asia/Tokyo' where id = $1", [masterId]);
  const main = mutateProgram("src/metering/sum-dates.ts", { from: "!torn.has(day)", to: "day !== undefined" });
  const mutant = (await import(join(dirname(main), "metering", "daily.ts"))) as {
    readDailyUsage: typeof readDailyUsage;
  };
  expect(await shown()).toEqual([5, { ...day, date: "2026-06-12" }]);
  expect(await shown(mutant.readDailyUsage)).toEqual([5, day]);
});

test.for([
  [[], [[0, 10]]],
  [
    ["1970-01-03"],
    [
      [0, 2],
      [3, 10],
    ],
  ],
  [["1970-01-01", "1970-01-02"], [[2, 10]]],
  [
    ["1970-01-10", "1970-01-05", "1970-01-06"],
    [
      [0, 4],
      [6, 9],
    ],
  ],
] as [string[], [number, number][]][])("without %j what is left of ten days are the days %j", ([days, left]) => {
  const spans = spansWithout({ fromMs: 0, toMs: 10 * DAY_MS }, days);
  expect(spans.map(({ fromMs, toMs }) => [fromMs / DAY_MS, toMs / DAY_MS])).toEqual(left);
});
