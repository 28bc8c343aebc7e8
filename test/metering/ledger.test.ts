/** Sums of the ledger: whatever the width of the slices, each entry of the period is in them once. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import { sumLedger } from "../../src/metering/ledger.ts";
import { periodAt } from "../../src/metering/period.ts";
import { testDatabase } from "../support/database.ts";
import { unguarded } from "../support/tampering.ts";
import { tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock } = database;
const make = tenants(database);
const acme = await make.master();
const other = await make.master({ name: "Globex" });
const shops = await Promise.all([make.subaccount(acme), make.subaccount(acme)]);
const period = periodAt(acme.master.calendar, clock.now());

/** From now on, `everyMs` apart, in turn by each shop; every fifth is a correction of -1. */
async function fill(masterId: string, entries: number, everyMs: number): Promise<void> {
  const ids = shops.map(({ subaccount }) => subaccount.id);
  const beginMs = clock.now().getTime();
  await sql`insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
    select new_event_id(to_timestamp((${beginMs}::bigint + n * ${everyMs}::int) / 1000.0)), ${masterId}, (${ids}::uuid[])[n % 2 + 1],
           ${period.start}, case when n % 5 = 0 then -1 else 2 end, case when n % 5 = 0 then 'correction' else 'accept' end, pm_now()
      from generate_series(1, ${entries}::int) n`.execute(db);
}

async function counted(used: number): Promise<void> {
  await sql`select open_usage(${acme.master.id}, ${period.start}, ${period.end})`.execute(db);
  await db.updateTable("usage").set({ used }).where("account_id", "=", acme.master.id).execute();
}

test.for([
  ["one entry a slice", 1, 240],
  ["a few", 7, 240],
  ["all at once", 1_000_000, 240],
  ["a few, though the counter knows of none", 7, 0],
  ["a few, though the counter says far too much", 7, 1_000_000_000],
] as const)("%s: the sums are those of the entries, and others' are not in", async ([, sliceEntries, used]) => {
  await unguarded(database);
  await db.deleteFrom("usage_entry").execute();
  await fill(acme.master.id, 100, 1);
  await fill(acme.master.id, 50, 500_000); // sparse, over hours
  await fill(other.master.id, 30, 1);
  await counted(used);
  const seen: number[] = [];
  const range = { masterId: acme.master.id, period, sliceEntries, onSlice: (n: number) => seen.push(n) };
  const sums = await sumLedger(db, range);
  const half = { messages: 60, units: 120, corrections: -15 };
  expect(Object.fromEntries(sums)).toEqual({ [shops[0]!.subaccount.id]: half, [shops[1]!.subaccount.id]: half });
  expect(seen.reduce((sum, n) => sum + n, 0)).toBe(150);
});
