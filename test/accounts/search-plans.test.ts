/** How the planner goes about a search, which its statistics decide. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import { listSubaccounts } from "../../src/accounts/list-subaccounts.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { subaccountRowsRead } from "../support/rows-read.ts";
import { tenants } from "../support/tenants.ts";

const { db, url, clock } = await testDatabase();

test("a search for what the planner's sample happens to hold reads few rows, as for anything else", async () => {
  const big = await tenants({ db, clock }).master();
  await sql`insert into subaccount (id, master_id, name, slug, owner_email, created_at, updated_at)
    select gen_random_uuid(), ${big.master.id}, 'Shop ' || md5(i::text), 'bulk-' || i, 'owner' || i || '@shop.example', pm_now(), pm_now()
      from generate_series(10001, 40000) i`.execute(db);
  await sql`vacuum (analyze) subaccount, master`.execute(db);
  await using one = openDatabase({ url, max: 1 });
  const most = async () => {
    let read = 0;
    for (const q of (await sampled()).slice(0, 10)) {
      const before = await subaccountRowsRead(one.db);
      const { items } = await listSubaccounts(one.db, big.principal, { q, limit: 10 }, clock);
      expect(items.map(({ slug }) => slug)).toEqual([q]);
      read = Math.max(read, (await subaccountRowsRead(one.db)) - before);
    }
    return read;
  };
  expect(await most()).toBeLessThan(200);
  // Negative control: with the usual sample it reads the master's subaccounts by name until it has met them all.
  await sql`alter index subaccount_searched alter column 1 set statistics 100`.execute(db);
  await sql`analyze subaccount`.execute(db);
  expect(await most()).toBeGreaterThan(10_000);
});

/** Slugs of the texts by which the planner estimates. */
async function sampled(): Promise<string[]> {
  const { rows } = await sql<{ slug: string }>`
    select substring(text from 'bulk-[0-9]{5}') as slug
      from pg_stats, unnest(histogram_bounds::text::text[]) text where tablename = 'subaccount_searched'`.execute(db);
  return rows.map(({ slug }) => slug).filter((slug) => slug !== null);
}
