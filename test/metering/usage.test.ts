import { expect, test } from "vitest";
import type { MasterPrincipal, Operator, SubaccountPrincipal } from "../../src/accounts/principal.ts";
import { readDailyUsage } from "../../src/metering/daily.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder } from "../../src/metering/refusals.ts";
import { listSubaccountUsage, readMasterUsage, readUsage, readUsages } from "../../src/metering/usage.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const masterOf = (masterId: MasterId): MasterPrincipal => ({ kind: "master", masterId, keyId: null, scopes: ["full"] });
const subOf = (masterId: MasterId, subaccountId: SubaccountId): SubaccountPrincipal => ({
  ...masterOf(masterId),
  kind: "subaccount",
  subaccountId,
});

async function account(allowance: number | null = null) {
  const database = await testDatabase();
  const { masterId, ownSubaccountId } = await seedMaster(database, { allowance });
  const subaccountId = await seedSubaccount(database, masterId);
  return { database, masterId, ownSubaccountId, subaccountId };
}

test("an account that has sent nothing shows its limit and no use", async () => {
  const { database, masterId, subaccountId } = await account(1000);
  const usage = await readUsage(database.db, masterOf(masterId), subaccountId, undefined, database.clock);
  expect(usage).toEqual({
    period: periodAt(utcMonths, database.clock.now()),
    used: 0,
    limit: 100,
    topUp: 0,
    remaining: 100,
    blockedBy: null,
    refused: 0,
    corrections: 0,
    credits: { used: 0, left: 0 },
    masterRemaining: 1000,
  });
});

test("what was accepted is used, per recipient, for the subaccount and for its master", async () => {
  const { database, masterId, subaccountId, ownSubaccountId } = await account(1000);
  await acceptUnits(database, { masterId, subaccountId }, 3);
  await acceptUnits(database, { masterId, subaccountId: ownSubaccountId }, 2);
  const { db, clock } = database;
  expect(await readUsage(db, operator, subaccountId, undefined, clock)).toMatchObject({
    used: 3,
    remaining: 97,
    masterRemaining: 995,
  });
  expect(await readUsage(db, operator, ownSubaccountId, undefined, clock)).toMatchObject({
    used: 2,
    limit: null,
    remaining: null,
  });
  expect(await readMasterUsage(db, masterOf(masterId), undefined, undefined, clock)).toMatchObject({
    used: 5,
    allowance: 1000,
    cap: 1000,
    remaining: 995,
  });
});

test("top-ups stand apart from the limit and raise what remains", async () => {
  const { database, masterId, subaccountId } = await account();
  const { start } = periodAt(utcMonths, database.clock.now());
  await database.pool.query("insert into top_up values (gen_random_uuid(), $1, $2, $3, 50, null, pm_now())", [
    subaccountId,
    masterId,
    start,
  ]);
  const read = () => readUsage(database.db, operator, subaccountId, undefined, database.clock);
  expect(await read()).toMatchObject({ limit: 100, topUp: 50, remaining: 150 });
  await acceptUnits(database, { masterId, subaccountId }, 120);
  expect(await read()).toMatchObject({ limit: 100, topUp: 50, used: 120, remaining: 30 });
});

test("a subaccount is told that its master blocks it, never the master's figures", async () => {
  const { database, masterId, subaccountId, ownSubaccountId } = await account(5);
  await acceptUnits(database, { masterId, subaccountId: ownSubaccountId }, 5);
  const usage = await readUsage(database.db, subOf(masterId, subaccountId), subaccountId, undefined, database.clock);
  expect(usage).toMatchObject({ used: 0, remaining: 100, blockedBy: "master" });
  expect(usage).not.toHaveProperty("masterRemaining");
});

test("another tenant's usage is not found, and neither is a sibling's or the master's for a subaccount", async () => {
  const { database, masterId, subaccountId, ownSubaccountId } = await account();
  const stranger = await seedMaster(database);
  const { db, clock } = database;
  const missing = { kind: "not-found" };
  await expect(readUsage(db, masterOf(stranger.masterId), subaccountId, undefined, clock)).rejects.toMatchObject(
    missing,
  );
  await expect(readUsage(db, subOf(masterId, subaccountId), ownSubaccountId, undefined, clock)).rejects.toMatchObject(
    missing,
  );
  await expect(readMasterUsage(db, subOf(masterId, subaccountId), undefined, undefined, clock)).rejects.toMatchObject(
    missing,
  );
  await expect(readMasterUsage(db, masterOf(stranger.masterId), masterId, undefined, clock)).rejects.toMatchObject(
    missing,
  );
  await expect(readDailyUsage(db, masterOf(stranger.masterId), subaccountId, undefined, clock)).rejects.toMatchObject(
    missing,
  );
});

test("a period is asked for by its start date; another date is refused by name", async () => {
  const { database, masterId, subaccountId } = await account();
  await acceptUnits(database, { masterId, subaccountId }, 1);
  const { db, clock } = database;
  const { start } = periodAt(utcMonths, clock.now());
  const date = start.toISOString().slice(0, 10);
  expect(await readUsage(db, operator, subaccountId, date, clock)).toMatchObject({ used: 1 });
  expect(await readUsage(db, operator, subaccountId, "2025-01-01", clock)).toMatchObject({ used: 0 });
  for (const wrong of ["2025-01-02", "2025-02-30", "last month", "2025-1-1", ""]) {
    await expect(readUsage(db, operator, subaccountId, wrong, clock)).rejects.toMatchObject({
      kind: "invalid",
      details: [{ pointer: "/period" }],
    });
  }
});

test("a past period keeps the limit it had", async () => {
  const { database, subaccountId } = await account();
  const period = { start: new Date("2025-01-01T00:00:00Z"), end: new Date("2025-02-01T00:00:00Z") };
  await database.pool.query("select open_usage($1, $2, $3)", [subaccountId, period.start, period.end]);
  await database.pool.query("update subaccount set monthly_limit = 7 where id = $1", [subaccountId]);
  expect(await readUsage(database.db, operator, subaccountId, "2025-01-01", database.clock)).toMatchObject({
    period,
    limit: 100,
  });
});

test("the list of a master's subaccounts goes page by page and tells that there is more", async () => {
  const { database, masterId, subaccountId, ownSubaccountId } = await account();
  await acceptUnits(database, { masterId, subaccountId }, 4);
  const { db, clock } = database;
  const first = await listSubaccountUsage(db, masterOf(masterId), { limit: 1 }, clock);
  expect(first.map((item) => item.id)).toEqual([ownSubaccountId, subaccountId]);
  const second = await listSubaccountUsage(db, masterOf(masterId), { limit: 1, after: ownSubaccountId }, clock);
  expect(second).toMatchObject([{ id: subaccountId, name: "Corner Shop", used: 4, limit: 100 }]);
  const many = await readUsages(db, masterOf(masterId), [{ id: subaccountId, masterId, calendar: utcMonths }], clock);
  expect(many.get(subaccountId)).toMatchObject({ used: 4, remaining: 96 });
});

test("the days of a period sum up to its usage, in the master's time zone", async () => {
  const database = await testDatabase();
  const timeZone = "Pacific/Kiritimati"; // UTC+14: its day is tomorrow for most of ours
  const { masterId } = await seedMaster(database, { timeZone });
  const subaccountId = await seedSubaccount(database, masterId);
  const calendar = { anchorDay: 1, timeZone };
  await acceptUnits(database, { masterId, subaccountId }, 3, calendar);
  await acceptUnits(database, { masterId, subaccountId }, 2, calendar);
  const { db, clock } = database;
  const { period, days } = await readDailyUsage(db, operator, subaccountId, undefined, clock);
  const today = new Date(clock.now().getTime() + 14 * 3_600_000).toISOString().slice(0, 10);
  expect(period).toEqual(periodAt(calendar, clock.now()));
  expect(days.at(-1)).toEqual({ date: today, units: 5, messages: 2, corrections: 0, refused: 0 });
  expect(days[0]?.date).toBe(new Date(period.start.getTime() + 14 * 3_600_000).toISOString().slice(0, 10));
  expect(days.reduce((sum, day) => sum + day.units, 0)).toBe(5);
});

test("refused messages are shown beside the usage and on their day", async () => {
  const { database, masterId, subaccountId } = await account();
  const clock = createClock();
  const period = periodAt(utcMonths, clock.now());
  {
    await using recorder = createRefusalRecorder({ pool: database.pool, clock, log: silentLog });
    for (const units of [1, 5]) recorder.refused({ masterId, subaccountId, period, reason: "quota-subaccount", units });
    recorder.refused({ masterId, subaccountId, period, reason: "sender", units: 1 });
  }
  expect(await readUsage(database.db, operator, subaccountId, undefined, clock)).toMatchObject({ used: 0, refused: 3 });
  const { days } = await readDailyUsage(database.db, operator, subaccountId, undefined, clock);
  expect(days.at(-1)).toMatchObject({ units: 0, refused: 3 });
});
