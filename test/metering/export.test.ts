/** Final usage for billing systems: whoever goes on from his last place misses nothing and gets nothing twice. */
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { Operator, Principal } from "../../src/accounts/principal.ts";
import { exportUsage, type UsageExportFilter, type UsagePosition, usageRowId } from "../../src/metering/export.ts";
import { sumPeriod } from "../../src/metering/kept-sums.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { mutateProgram } from "../support/mutant.ts";
import { addEntries, makeDays, type OldEntry } from "../support/old-entries.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const DAY_MS = 86_400_000;
const periodStart = new Date("2026-06-01T00:00:00Z");
const noon = Date.parse("2026-06-10T12:00:00Z");

let database: TestDatabase;
let masterId: MasterId;
let shop: SubaccountId;
let mill: SubaccountId;

beforeEach(async () => {
  database = await testDatabase();
  ({ masterId } = await seedMaster(database));
  shop = await seedSubaccount(database, masterId);
  mill = await seedSubaccount(database, masterId);
  await makeDays(database, noon, noon + 2 * DAY_MS);
});

const entry = (subaccountId: SubaccountId, day: number, units: number, more: Partial<OldEntry> = {}): OldEntry => {
  return { atMs: noon + day * DAY_MS, masterId, subaccountId, periodStart, units, kind: "accept", ...more };
};
const read = (filter: Partial<UsageExportFilter> = {}, principal: Principal = operator) =>
  exportUsage(database.db, principal, { limit: 100, ...filter });

/** All rows from a place on, `size` at a time. */
async function poll(size: number, after?: UsagePosition) {
  const all: Awaited<ReturnType<typeof read>> = [];
  for (let from = after; ; from = all.at(-1)?.position ?? from) {
    const found = await read({ after: from, limit: size });
    all.push(...found.slice(0, size));
    if (found.length <= size) return all;
  }
}

test("a day is handed out when it is summed, by subaccount, with what was taken back", async () => {
  await addEntries(database, [
    entry(shop, 0, 5),
    entry(shop, 0, 2),
    entry(shop, 0, -2, { kind: "correction" }),
    entry(mill, 1, 7),
  ]);
  expect(await read()).toEqual([]);
  await sumDays(database.db);
  const rows = await read();
  const figures = rows.map(({ subaccountId, since, messages, units, corrections }) => {
    return { of: subaccountId, since: since.toISOString(), messages, units, corrections };
  });
  expect(figures).toHaveLength(2);
  expect(figures).toContainEqual({
    of: shop,
    since: "2026-06-10T00:00:00.000Z",
    messages: 2,
    units: 7,
    corrections: -2,
  });
  expect(figures).toContainEqual({
    of: mill,
    since: "2026-06-11T00:00:00.000Z",
    messages: 1,
    units: 7,
    corrections: 0,
  });
  expect(new Set(rows.map(usageRowId)).size).toBe(2);
  const sums = await sumPeriod(database.db, { masterId, period: { start: periodStart, end: new Date("2026-07-01Z") } });
  for (const { subaccountId, messages, units, corrections } of rows) {
    expect(sums.get(subaccountId)).toEqual({ messages, units, corrections }); // what its statement says
  }
  expect(Math.max(...rows.map((row) => usageRowId(row).length))).toBeLessThanOrEqual(100);
});

test.each([1, 2, 3, 100])("pages of %d hold each row once, also when days are summed between them", async (size) => {
  await addEntries(database, [entry(shop, 0, 1), entry(mill, 0, 2), entry(shop, 1, 3)]);
  await sumDays(database.db);
  const before = await poll(size);
  expect(before.map(({ units }) => units).sort()).toEqual([1, 2, 3]);
  const last = before.at(-1)!.position;
  expect(await poll(size, last)).toEqual([]);
  await database.pool.query("delete from summed_day where entry_day = '2026-06-12'");
  await addEntries(database, [entry(mill, 2, 4)]);
  await sumDays(database.db);
  expect((await poll(size, last)).map(({ units }) => units)).toEqual([4]);
});

test("a day that somebody is late for comes again, whole, under the same ids", async () => {
  await addEntries(database, [entry(shop, 0, 1), entry(mill, 0, 2), entry(shop, 1, 9)]);
  await sumDays(database.db);
  const before = await read();
  await addEntries(database, [entry(shop, 0, 10)]);
  await sumDays(database.db);
  const again = await read({ after: before.at(-1)!.position });
  expect(again.map(({ units }) => units).sort()).toEqual([11, 2].sort());
  const ids = new Set(before.map(usageRowId));
  expect(again.every((row) => ids.has(usageRowId(row)))).toBe(true);
});

/** What is read while a day has its turn and not its commit, and from there on when it has that, too. */
async function besideSlowDay(sum: typeof sumDays): Promise<number[][]> {
  await addEntries(database, [entry(shop, 0, 1), entry(shop, 1, 2)]);
  const slow = await database.pool.connect();
  await slow.query("begin");
  await slow.query("select pg_advisory_xact_lock(hashtextextended('turn of a summed day', 0))");
  await slow.query(
    `insert into usage_day values ('2026-06-09', $1, '2026-06-01Z', $2, '2026-06-09Z', '2026-06-10Z', 1, 40, 0)`,
    [masterId, shop],
  );
  await slow.query("insert into summed_day (entry_day, entries, summed_at) values ('2026-06-09', 1, pm_now())");
  const summing = sum(database.db);
  await Promise.race([summing, blocked()]);
  const early = await read();
  await slow.query("commit");
  slow.release();
  await summing;
  const late = await read({ after: early.at(-1)?.position });
  return [early, late].map((rows) => rows.map(({ units }) => units).sort());
}

/** Resolves when somebody waits for a lock. */
async function blocked(): Promise<void> {
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  for (;;) if ((await database.pool.query(waiting)).rowCount) return;
}

test("days become visible in their order: one that waits for its commit holds the next back", async () => {
  expect(await besideSlowDay(sumDays)).toEqual([[], [1, 2, 40]]);
});

test("control: without that lock a day would be missed for good", async () => {
  const program = mutateProgram("src/metering/sum-days.ts", {
    from: "await sql`select pg_advisory_xact_lock(hashtextextended('turn of a summed day', 0))`.execute(trx);",
    to: "",
  });
  const mutant = await import(join(dirname(program), "metering", "sum-days.ts"));
  expect(await besideSlowDay(mutant.sumDays)).toEqual([[1, 2], []]);
});

test("a master is handed its own rows, a subaccount none", async () => {
  const other = await seedMaster(database);
  const stranger = await seedSubaccount(database, other.masterId);
  await addEntries(database, [entry(shop, 0, 1), entry(stranger, 0, 2, { masterId: other.masterId })]);
  await sumDays(database.db);
  const master = { kind: "master", masterId, scopes: new Set(["read"]) } as unknown as Principal;
  expect((await read({}, master)).map(({ units }) => units)).toEqual([1]);
  expect(await read({ masterId: other.masterId }, master)).toEqual([]);
  expect((await read({ masterId: other.masterId })).map(({ units }) => units)).toEqual([2]);
  const child = { kind: "subaccount", masterId, subaccountId: shop, scopes: new Set(["read"]) } as unknown as Principal;
  await expect(read({}, child)).rejects.toMatchObject({ kind: "not-found" });
});
