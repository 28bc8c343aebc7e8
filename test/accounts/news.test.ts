/** What other processes are told when an account changes: all that they decide by, and nothing that mail writes. */
import { afterAll, expect, test } from "vitest";
import { type Change, listenForChanges } from "../../src/accounts/changes.ts";
import { newId, type TopUpId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, pool, clock, url } = database;
const changes = await listenForChanges({ url, log: silentLog });
afterAll(() => changes[Symbol.asyncDispose]());
const heard: Change[] = [];
let marked = () => {};
changes.subscribe((change) => {
  if (change.kind === "key" && change.id === "mark") marked();
  else heard.push(change);
});

/** What is told of the work: news come in the order of the commits. */
async function toldOf(work: () => Promise<unknown>): Promise<Change[]> {
  heard.length = 0;
  await work();
  const mark = new Promise<void>((resolve) => {
    marked = resolve;
  });
  await pool.query("select pg_notify('postmeter_account', 'key:mark')");
  await mark;
  return [...heard];
}

const { masterId } = await seedMaster(database);
const subaccountId = await seedSubaccount(database, masterId);
const master = { kind: "master", id: masterId };
const subaccount = { kind: "subaccount", id: subaccountId };

test("a message in doubt is told, and leaves what is cached of accounts alone", async () => {
  const row = "insert into in_doubt values ($1, 4711, 'a@one.example', '', gen_random_uuid(), now())";
  const count = changes.count();
  expect(await toldOf(() => pool.query(row, [subaccountId]))).toEqual([
    { kind: "doubt", id: subaccountId, sizeBytes: 4711 },
  ]);
  expect(changes.count()).toBe(count + 1); // that of the mark
});

test.each([
  ["a limit", "update subaccount set monthly_limit = 17 where id = $1", subaccount],
  ["an allowance", "update master set allowance = 1234 where id = $1", master],
  ["what happens above the allowance", "update master set overage = 'bill' where id = $1", master],
  ["how far it is billed", "update master set ceiling_factor = 2 where id = $1", master],
])("%s that changes is told, also to gates", async (_, text, account) => {
  expect(await toldOf(() => pool.query(text, [account.id]))).toEqual([account]);
  expect(await toldOf(() => pool.query(text, [account.id]))).toEqual([]); // nothing new
});

test("a top-up is told", async () => {
  const insert = `insert into top_up (id, subaccount_id, master_id, period_start, units, created_at)
    values ($1, $2, $3, '2026-11-01Z', 5, pm_now())`;
  const told = await toldOf(() => pool.query(insert, [newId<TopUpId>(clock), subaccountId, masterId]));
  expect(told).toEqual([subaccount]);
});

test("mail, names and the last use of a credential or key are no news", async () => {
  const people = tenants({ db, clock });
  const payer = await people.master();
  const sender = await people.subaccount(payer);
  const told = await toldOf(async () => {
    await acceptUnits(database, { masterId, subaccountId }, 3);
    await pool.query("update subaccount set name = 'Other', notes = 'x' where id = $1", [subaccountId]);
    await pool.query("update credential set last_used_at = pm_now() where id = $1", [sender.credentialId]);
    await pool.query("update api_key set last_used_at = pm_now() where master_id = $1", [payer.master.id]);
  });
  expect(told).toEqual([]);
});
