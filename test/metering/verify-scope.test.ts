/** Which part of the ledger `ledger verify` is asked for, and that it reads no more than that. */
import { sql } from "kysely";
import { beforeAll, expect, test } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { findScope } from "../../src/metering/find-scope.ts";
import { periodAt } from "../../src/metering/period.ts";
import { EVERYTHING, type Scope } from "../../src/metering/scope.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { formatId, type MasterId, type MessageId, newId, type StatementId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { rowsRead } from "../support/rows-read.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const calendar = { anchorDay: 1, timeZone: "Pacific/Auckland" };
/** Entries, messages, recipients, credits, counters and terms of somebody else: so many of each. */
const MANY = 20_000;

let database: TestDatabase; // in the second period
let masterId: MasterId;
let bigId: MasterId;
const day = "2027-03-01";

beforeAll(async () => {
  await using start = await later(await testDatabase(), Date.parse("2027-03-10T12:00:00Z") - Date.now());
  ({ masterId } = await seedMaster(start, calendar));
  const subaccountId = await seedSubaccount(start, masterId);
  ({ masterId: bigId } = await seedMaster(start));
  const accepted = await acceptUnits(start, { masterId, subaccountId }, 3, calendar);
  const { id: messageId } = accepted as { id: MessageId };
  await acceptUnits(start, { masterId, subaccountId }, 4, calendar);
  await addCorrection(start.db, operator, { messageId, units: -2, note: "ours" }, start.clock);
  await start.pool.query(
    `with pack as (insert into credit_pack values (gen_random_uuid(), $1, 10, null, null, pm_now()) returning id)
     insert into credit_lot select gen_random_uuid(), id, $1, $2, 10, 0, null, pm_now() from pack`,
    [masterId, subaccountId],
  );
  await acceptUnits(start, { masterId: bigId, subaccountId: await seedSubaccount(start, bigId) }, 1);
  await fill(start, bigId);
  database = await later(start, 40 * 86_400_000);
  await closeMaster(database.db, masterId, database);
  await acceptUnits(database, { masterId, subaccountId }, 5, calendar);
  await sumDays(database.db);
  return () => database[Symbol.asyncDispose]();
});

/** As many rows of everything as there would be in years, all in this period. */
async function fill({ pool, clock }: TestDatabase, master: MasterId): Promise<void> {
  const { start, end } = periodAt({ anchorDay: 1, timeZone: "UTC" }, clock.now());
  await pool.query(`create table filled as select gen_random_uuid() as account,
    (substr(uuid_at(pm_now() - i * interval '100 ms')::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid as id
      from generate_series(1, ${MANY}) i`);
  const period = `'${start.toISOString()}'`;
  for (const rows of [
    `usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at) select id, '${master}', account, ${period}, 1, 'accept', pm_now() from filled`,
    `usage_entry (id, master_id, subaccount_id, period_start, units, kind, corrects, accepted_at) select uuid_at(instant_of(id)), '${master}', account, ${period}, -1, 'correction', id, pm_now() from filled on conflict do nothing`,
    `message (id, subaccount_id, master_id, kind, sender, units, size_bytes, accepted_at) select id, account, '${master}', 'submitted', '', 1, 1, pm_now() from filled`,
    "recipient (message_id, n, address) select id, 0, 'a@example.net' from filled",
    `credit_entry select id, account, '${master}', account, ${period}, 1, pm_now() from filled`,
    `usage (account_id, period_start, period_end, master_id, used, credit_used, open, thresholds) select account, ${period}, '${end.toISOString()}', '${master}', 1, 1, true, '{}' from filled`,
    `subaccount (id, master_id, name, slug, owner_email, created_at, updated_at) select account, '${master}', 'Shop', 'shop-' || account, 'a@shop.example', pm_now(), pm_now() from filled`,
    `price_term (account_id, role, master_id, since, source, discount_bp, written_at) select account, 'own', '${master}', date_trunc('second', pm_now()), 'none', 0, pm_now() from filled`,
  ])
    await pool.query(`insert into ${rows}`);
}

const find = (period?: string, of = masterId) =>
  findScope(database.db, operator, { masterId: of, period }, database.clock);

test("a period is named by its first day in the master's time zone or by its statement, and only by one that it has", async () => {
  const start = new Date("2027-02-28T11:00:00Z"); // in Auckland it is March
  const scope = { masterId, period: { start, end: new Date("2027-03-31T11:00:00Z") } };
  expect(await find(day)).toEqual(scope);
  const { rows } = await database.pool.query<{ id: StatementId }>("select id from statement");
  const stm = formatId("stm", rows[0]!.id);
  expect(await find(stm)).toEqual(scope);
  expect(await find("2027-04-01")).toMatchObject({ masterId, period: { start: scope.period.end } });
  expect(await find()).toEqual({ masterId, period: null });
  expect(await findScope(database.db, operator, {}, database.clock)).toEqual(EVERYTHING);
  await expect(find("2027-03-02")).rejects.toThrow("No period starts on 2027-03-02.");
  await expect(find(stm, bigId)).rejects.toThrow("There is no such statement of this master.");
  await expect(find(undefined, newId<MasterId>(database.clock))).rejects.toThrow("There is no such master.");
  await expect(findScope(database.db, operator, { period: day }, database.clock)).rejects.toThrow("name it, too");
});

test.each([
  ["without statistics", "select"],
  ["with them", "analyze"],
])("%s, a part of the ledger is verified without reading what is others'", async (_, first) => {
  await sql.raw(first).execute(database.db);
  await using one = openDatabase({ url: database.url, clockOffsetMs: database.clockOffsetMs, max: 1 });
  const readFor = async (scope: Scope) => {
    const before = await rowsRead(one.db);
    const report = await one.db.transaction().execute((trx) => verifyLedger(trx, database.clock, { scope }));
    return { report, rows: (await rowsRead(one.db)) - before };
  };
  const part = await readFor(await find(day));
  expect(part.report).toMatchObject({ ok: true, read: { entries: 3, messages: 4, statements: 1, days: 3 } });
  expect(part.rows).toBeLessThan(1000);
  const master = await readFor(await find());
  expect(master.report).toMatchObject({ ok: true, read: { entries: 4, messages: 6, statements: 1, days: 3 } });
  expect(master.rows).toBeLessThan(1000);
  expect((await readFor({ masterId: bigId, period: null })).rows).toBeGreaterThan(10 * MANY); // control: it is counted
});
