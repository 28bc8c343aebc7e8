/** A day is summed when it has gone by; who writes into it all the same is counted, by the sums or by the entries. */
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { sumPeriod } from "../../src/metering/kept-sums.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readStatement } from "../../src/metering/read-statement.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { mutateFunction, mutateProgram } from "../support/mutant.ts";
import { addEntries, makeDays, type OldEntry } from "../support/old-entries.ts";
import { utcMonths } from "../support/submission.ts";
import { unguarded } from "../support/tampering.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const DAY_MS = 86_400_000;
const period = { start: new Date("2026-06-01T00:00:00Z"), end: new Date("2026-07-01T00:00:00Z") };
const day = "2026-06-10";
const noon = Date.parse(`${day}T12:00:00Z`);

let database: TestDatabase;
let masterId: MasterId;
let subaccountId: SubaccountId;

beforeEach(async () => {
  database = await testDatabase();
  ({ masterId } = await seedMaster(database));
  subaccountId = await seedSubaccount(database, masterId);
  await makeDays(database, noon - DAY_MS, noon + DAY_MS);
  await addEntries(database, [entry(noon, 5), entry(noon + DAY_MS, 7)]);
});

const entry = (atMs: number, units: number): OldEntry => {
  return { atMs, masterId, subaccountId, periodStart: period.start, units, kind: "accept" };
};
const units = async () => (await sumPeriod(database.db, { masterId, period })).get(subaccountId)?.units;
const isSummed = async () => {
  const { rowCount } = await database.pool.query("select from summed_day where entry_day = $1", [day]);
  return rowCount === 1;
};

test("a day is summed two days after its end, and not before", async () => {
  const today = database.clock.now().toISOString().slice(0, 10);
  const dueMs = Date.parse(today) + 3 * DAY_MS - database.clock.now().getTime();
  await using early = await later(database, dueMs - 60_000);
  const days = async ({ db }: TestDatabase) => (await sumDays(db)).map((summed) => summed.day);
  expect(await days(early)).not.toContain(today);
  await using late = await later(database, dueMs);
  expect(await days(late)).toEqual([today]);
  expect(await days(late)).toEqual([]);
});

test("the newest day comes first, and none is begun when the time is up", async () => {
  expect(await sumDays(database.db, { budgetMs: 0 })).toEqual([]);
  const summed = await sumDays(database.db);
  expect(summed).toEqual([
    { day: "2026-06-11", entries: 1, rows: 1 },
    { day, entries: 1, rows: 1 },
    { day: "2026-06-09", entries: 0, rows: 0 },
  ]);
});

test("two at once sum each day once", async () => {
  const both = await Promise.all([sumDays(database.db), sumDays(database.db), sumDays(database.db)]);
  const days = both.flat().map((summed) => summed.day);
  expect(days.sort()).toEqual(["2026-06-09", "2026-06-10", "2026-06-11"]);
  const { rows } = await database.pool.query("select count(*)::int as n, sum(units)::int as units from usage_day");
  expect(rows).toEqual([{ n: 2, units: 12 }]);
});

test("a day that fails leaves nothing behind and stops no other; the next run does it", async () => {
  await database.pool.query(`
    create function no_sum() returns trigger language plpgsql as $$ begin raise 'played failure'; end $$;
    create trigger fails before insert on summed_day for each row when (new.entry_day = '${day}') execute function no_sum()`);
  await expect(sumDays(database.db)).rejects.toThrow("played failure");
  const { rows } = await database.pool.query("select entry_day::text as day from usage_day");
  expect(rows).toEqual([{ day: "2026-06-11" }]);
  expect(await units()).toBe(12);
  await database.pool.query("drop trigger fails on summed_day");
  expect((await sumDays(database.db)).map((summed) => summed.day)).toEqual([day]);
  expect(await units()).toBe(12);
});

test("an entry that comes late takes the day's word back as it commits; the day is summed again", async () => {
  await sumDays(database.db);
  const client = await database.pool.connect();
  await client.query("begin");
  await addEntries({ pool: client as never }, [entry(noon + 1, 3)]);
  expect([await isSummed(), await units()]).toEqual([true, 12]);
  await client.query("rollback");
  expect([await isSummed(), await units()]).toEqual([true, 12]);
  await addEntries({ pool: client as never }, [entry(noon + 1, 3)]);
  client.release();
  expect([await isSummed(), await units()]).toEqual([false, 15]);
  expect(await sumDays(database.db)).toEqual([{ day, entries: 2, rows: 1 }]);
  expect([await isSummed(), await units()]).toEqual([true, 15]);
});

test("control: without the trigger's word a late entry would be in no sum", async () => {
  await sumDays(database.db);
  await mutateFunction(database, "entry_came_late", {
    from: "delete from summed_day where",
    to: "perform from summed_day where",
  });
  await addEntries(database, [entry(noon + 1, 3)]);
  expect(await units()).toBe(12);
});

/** Sums while somebody holds an entry of the day that is not committed yet. */
async function sumsBesideWriter(sum: typeof sumDays): Promise<void> {
  const writer = await database.pool.connect();
  await writer.query("begin");
  await addEntries({ pool: writer as never }, [entry(noon + 1, 3)]);
  const summing = sum(database.db);
  await Promise.race([summing, blocked()]);
  await writer.query("commit");
  writer.release();
  await summing;
}

/** Resolves when somebody waits for a lock. */
async function blocked(): Promise<void> {
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  for (;;) if ((await database.pool.query(waiting)).rowCount) return;
}

test("who is writing into the day has committed before it is summed", async () => {
  await sumsBesideWriter(sumDays);
  expect([await isSummed(), await units()]).toEqual([true, 15]);
});

test("control: without the lock the entry of a writer under way would be missed", async () => {
  const main = mutateProgram("src/metering/sum-days.ts", {
    from: "in share row exclusive mode",
    to: "in access share mode",
  });
  const mutant = (await import(join(dirname(main), "metering", "sum-days.ts"))) as { sumDays: typeof sumDays };
  await sumsBesideWriter(mutant.sumDays);
  expect([await isSummed(), await units()]).toEqual([true, 12]);
});

test("who reads the day is not waited for, and does not wait", async () => {
  const reader = await database.pool.connect();
  await reader.query("begin");
  await reader.query("select count(*) from usage_entry");
  expect(await sumDays(database.db)).toHaveLength(3);
  const { rows } = await reader.query("select sum(units)::int as units from usage_entry");
  expect(rows).toEqual([{ units: 12 }]);
  await reader.query("commit");
  reader.release();
});

test("a statement of summed days is the one of their entries", async () => {
  await acceptUnits(database, { masterId, subaccountId }, 4);
  const preview = await readStatement(database.db, operator, "current", database.clock, masterId);
  const { start, end } = periodAt(utcMonths, database.clock.now());
  await using after = await later(database, end.getTime() - database.clock.now().getTime() + 5 * DAY_MS);
  expect((await sumDays(after.db)).reduce((sum, summed) => sum + summed.entries, 0)).toBe(3);
  await unguarded(database);
  await database.pool.query("delete from usage_entry where period_start = $1", [period.start]);
  await closeMaster(after.db, masterId, after);
  const closed = await readStatement(after.db, operator, start.toISOString().slice(0, 10), after.clock, masterId);
  expect(closed).toMatchObject({ units: 4, lines: preview.lines });
  const { differences } = await verifyLedger(after.db, after.clock);
  expect(differences.filter(({ check }) => check !== "days")).toEqual([]);
});
