/** The database itself keeps what a bill is made of: rows are written once, in whichever partition they lie. */
import { beforeAll, describe, expect, test } from "vitest";
import { seedMaster } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { unguarded } from "../support/tampering.ts";

const DAY_MS = 86_400_000;
const database = await testDatabase();

async function charged(at: TestDatabase): Promise<void> {
  const { masterId, ownSubaccountId: subaccountId } = await seedMaster(at);
  expect((await acceptUnits(at, { masterId, subaccountId }, 2)).kind).toBe("accepted");
}

beforeAll(() => charged(database));

const today = () => `usage_entry_${database.clock.now().toISOString().slice(0, 10).replaceAll("-", "")}`;
const tables = ["usage_entry", "credit_entry", "statement", "statement_line", "statement_profile", "statement_amount"];

describe.each(tables)("%s", (table) => {
  const column = table.startsWith("statement_") ? "statement_id" : "master_id";

  test.each([`update ${table} set ${column} = ${column}`, `delete from ${table}`, `truncate ${table} cascade`])(
    "refuses: %s",
    async (change) => {
      await expect(database.pool.query(change)).rejects.toThrow("written once, and neither changed nor removed");
    },
  );
});

test("a day's partition refuses too, also one that is made later", async () => {
  await using after = await later(database, 200 * DAY_MS);
  const made = await after.pool.query<{ name: string }>(
    "select max(inhrelid::regclass::text) as name from pg_inherits where inhparent = 'usage_entry'::regclass",
  );
  expect(made.rows[0]!.name > today()).toBe(true);
  await expect(database.pool.query(`update ${today()} set units = 1`)).rejects.toThrow("written once");
  await expect(database.pool.query(`delete from ${today()}`)).rejects.toThrow("written once");
  for (const name of [today(), made.rows[0]!.name]) {
    await expect(database.pool.query(`truncate ${name}`)).rejects.toThrow("written once");
    const { rows } = await database.pool.query<{ name: string }>(
      "select tgname as name from pg_trigger where tgrelid = $1::regclass and not tgisinternal order by 1",
      [name],
    );
    expect(rows.map((row) => row.name)).toContain("stays");
  }
});

test("control: without the guard each of them goes through", async () => {
  await using at = await testDatabase();
  await charged(at);
  await unguarded(at);
  expect((await at.pool.query("update usage_entry set units = 2")).rowCount).toBe(1);
  expect((await at.pool.query("delete from usage_entry")).rowCount).toBe(1);
});
