/** The growth bench's own honesty: its seeds are books that agree, and what goes missing from them is told. */
import { describe, expect, test } from "vitest";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { testDatabase } from "../support/database.ts";
import { unguarded } from "../support/tampering.ts";
import { tenants } from "../support/tenants.ts";
import { drained } from "./growth-drain.ts";
import { type Figure, verdictOf } from "./growth-figures.ts";
import { readGrowthOptions } from "./growth-options.ts";
import { prepare, seedMasters, seedSubaccounts } from "./growth-seed.ts";
import { seedBacklog } from "./growth-seed-backlog.ts";
import { seedLedger } from "./growth-seed-ledger.ts";
import type { Sink } from "./sink.ts";

const silent = (): void => {};

async function seeded() {
  const database = await testDatabase();
  const { pool } = database;
  const { master, principal } = await tenants(database).master();
  await prepare(pool);
  await seedSubaccounts(pool, master.id, 1, 20, silent);
  await seedMasters(pool, 3, silent);
  await seedLedger(pool, { masterId: master.id, customers: 20, entries: 500 }, silent);
  await sumDays(database.db);
  const subaccountId = master.ownSubaccountId;
  const backlog = { masterId: master.id, subaccountId, run: 7, count: 40, sizeBytes: 600, due: "now" } as const;
  await seedBacklog(pool, backlog, silent);
  await seedBacklog(pool, { ...backlog, run: 8, due: "tomorrow" }, silent);
  return { ...database, master, principal };
}

describe("seeds", () => {
  test("a seeded ledger, its accounts and its queue agree with each other", async () => {
    const { db, clock, pool } = await seeded();
    const report = await verifyLedger(db, clock);
    expect(report).toMatchObject({ ok: true, differences: [] });
    expect(report.read.entries).toBe(580);
    expect(report.read.messages).toBe(160);
    const { rows } = await pool.query("select count(*)::int as n from queue where due_at <= pm_now()");
    expect(rows[0].n).toBe(40);
  });

  test("control: an entry and a message that are taken away are both found", async () => {
    const { db, clock, pool } = await seeded();
    await unguarded({ pool });
    await pool.query("delete from usage_entry where id = (select min(id::text)::uuid from usage_entry)");
    await pool.query("delete from message where id = (select min(id::text)::uuid from message)");
    const { ok, differences } = await verifyLedger(db, clock);
    expect(ok).toBe(false);
    const checks = new Set(differences.map(({ check }) => check));
    checks.delete("days"); // the entry is of a summed day, but for the first days of a month
    expect(checks).toEqual(new Set(["counters", "messages"]));
  });
});

test.for([
  ["a queue that arrives whole has no problems", [0, 1, 1, 1], []],
  ["control: a message that never arrives is told", [0, 1, 0, 1], ["1 of the queue lost"]],
  ["control: a message that arrives twice is told", [0, 1, 2, 1], ["1 of the queue doubled"]],
] as const)("%s", async ([, copies, problems]) => {
  const arrivals = { messages: 3, unique: 3, firstAt: 0, lastAt: 1000, unmarked: 0, copies: Uint8Array.from(copies) };
  const sink = { count: () => Promise.resolve(arrivals), copies: () => Promise.resolve(arrivals) };
  const seen = await drained(sink as unknown as Sink, 1, 3, () => Promise.resolve());
  expect(seen).toEqual({ perSecond: 3, problems });
});

test.for<[Figure["goal"], number, string]>([
  [{ atMost: 50 }, 50, "reached"],
  [{ atMost: 50 }, 75, "missed by 50 %"],
  [{ atLeast: 0.9 }, 0.9, "reached"],
  [{ atLeast: 10_000 }, 8000, "missed by 20 %"],
  [{ atMost: 50 }, Number.NaN, "not measured"],
  [null, 1, ""],
])("a figure is set beside its goal %o: %d is %s", ([goal, seen, verdict]) => {
  expect(verdictOf({ what: "", unit: "", goal, seen })).toBe(verdict);
});

test("a bad option of the growth bench is named, and nothing starts", () => {
  expect(readGrowthOptions(["--only", "everything"])).toMatch("--only");
  expect(readGrowthOptions(["--ledger", "many"])).toMatch("--ledger");
  expect(readGrowthOptions(["--help"])).toBeNull();
  expect(readGrowthOptions(["--quick", "--backlog", "10"])).toMatchObject({ backlog: 10, ledger: 20_000, rounds: 1 });
});
