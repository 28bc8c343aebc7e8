import { expect, test } from "vitest";
import { nextPeriod, previousPeriod } from "../../src/metering/period.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import type { Submission } from "../../src/spool/message.ts";
import { type MasterSeed, type SubaccountSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { utcMonths } from "../support/submission.ts";
import { disagreements, knock, messageOf, mutate, openRows, thisMonth } from "./door.ts";

const database = await testDatabase({ max: 30, lockTimeoutMs: 20_000 });
const { pool } = database;

async function account(subaccount: SubaccountSeed = {}, master: MasterSeed = {}) {
  const { masterId } = await seedMaster(database, master);
  const who = { masterId, subaccountId: await seedSubaccount(database, masterId, subaccount) };
  await openRows(database, who, thisMonth(database));
  return who;
}

const count = (list: readonly string[], what: string) => list.filter((item) => item === what).length;

/** Each session sends one message after the other, in calls of its own. */
async function race(sessions: number, each: number, message: (session: number) => Submission, call?: string) {
  const said = await Promise.all(
    Array.from({ length: sessions }, async (_, session) => {
      const mine: string[] = [];
      for (let i = 0; i < each; i++) mine.push(...(await knock(pool, [message(session)], call)).verdicts);
      return mine;
    }),
  );
  return said.flat();
}

test("fifty sessions racing for the last hundred units get exactly one hundred", async () => {
  const who = await account({ monthlyLimit: 250 });
  await knock(pool, [messageOf(who, 150)]);
  const said = await race(50, 4, () => messageOf(who));
  expect([count(said, "accepted"), count(said, "subaccount")]).toEqual([100, 100]);
  expect(await disagreements(database)).toEqual([]);
});

test("control: without the lock, sessions that have read the same row pass the limit together", async () => {
  await using other = await testDatabase({ max: 10, lockTimeoutMs: 20_000 });
  const { masterId } = await seedMaster(other);
  const who = { masterId, subaccountId: await seedSubaccount(other, masterId, { monthlyLimit: 1 }) };
  await openRows(other, who, thisMonth(other));
  // Waits after the reading, so that all have read before anyone writes.
  const barrier = (name: string, lock: string) =>
    mutate(other.pool, name, /for update of u\) x;/, `${lock}) x;\n  perform pg_advisory_xact_lock_shared(7);`);
  await barrier("unlocked", "");
  await barrier("locked", "for update of u");
  for (const [call, accepted] of [
    ["locked", 1],
    ["unlocked", 4],
  ] as const) {
    await other.pool.query("update usage set used = 0");
    const gatekeeper = await other.pool.connect();
    await gatekeeper.query("select pg_advisory_lock(7)");
    const sessions = Array.from({ length: 4 }, () => knock(other.pool, [messageOf(who)], call));
    await waiting(other, 4);
    await gatekeeper.query("select pg_advisory_unlock(7)");
    gatekeeper.release();
    const said = (await Promise.all(sessions)).flatMap((answer) => answer.verdicts);
    expect([call, count(said, "accepted")]).toEqual([call, accepted]);
  }
  expect(await disagreements(other)).not.toEqual([]);
});

/** Until so many sessions of the database wait for a lock. */
async function waiting({ pool }: { pool: typeof database.pool }, sessions: number): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ n: number }>(
      "select count(distinct l.pid) as n from pg_locks l join pg_stat_activity a using (pid) where not granted and datname = current_database()",
    );
    if (rows[0]?.n === sessions) return;
  }
}

test("twenty subaccounts racing under a master's cap never pass it together", async () => {
  const { masterId } = await seedMaster(database, { allowance: 100 });
  const subaccounts: SubaccountId[] = [];
  for (let i = 0; i < 20; i++) {
    const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit: 50 });
    await openRows(database, { masterId, subaccountId }, thisMonth(database));
    subaccounts.push(subaccountId);
  }
  const of = (session: number) => ({ masterId, subaccountId: subaccounts[session % 20] as SubaccountId });
  const said = await race(40, 4, (session) => messageOf(of(session)));
  expect([count(said, "accepted"), count(said, "master")]).toEqual([100, 60]);
  expect(await disagreements(database)).toEqual([]);
});

test("in a batch a small message behind a big one that does not fit is accepted, and rows tell what was decided", async () => {
  const who = await account({ monthlyLimit: 10 });
  const answer = await knock(pool, [messageOf(who, 6), messageOf(who, 5), messageOf(who, 4), messageOf(who, 1)]);
  expect(answer.verdicts).toEqual(["accepted", "subaccount", "accepted", "subaccount"]);
  expect(answer.rows.get(who.subaccountId)).toMatchObject({ used: 10, cap: 10 });
  expect(answer.rows.get(who.masterId)).toMatchObject({ used: 10, cap: null });
});

test("the version rises with every call that charges, and with no other", async () => {
  const who = await account({ monthlyLimit: 2 });
  const versions: (number | undefined)[] = [];
  for (const units of [1, 5, 1, 1]) {
    versions.push((await knock(pool, [messageOf(who, units)])).rows.get(who.subaccountId)?.version);
  }
  expect(versions.map((version) => (version ?? 0) - (versions[0] ?? 0))).toEqual([0, 0, 1, 1]);
});

test("a refused message leaves nothing behind", async () => {
  const who = await account({ monthlyLimit: 1 });
  const refused = messageOf(who, 2);
  await knock(pool, [refused]);
  for (const [table, key] of Object.entries({
    message: "id",
    queue: "message_id",
    body: "message_id",
    recipient: "message_id",
    usage_entry: "id",
  })) {
    const { rowCount } = await pool.query(`select 1 from ${table} where ${key} = $1`, [refused.id]);
    expect([table, rowCount]).toEqual([table, 0]);
  }
});

test("a message of the period before or after is told so, and charged to neither", async () => {
  const who = await account();
  const now = thisMonth(database);
  const [before, after] = [previousPeriod(utcMonths, now), nextPeriod(utcMonths, now)];
  await openRows(database, who, before);
  await openRows(database, who, after);
  const answer = await knock(pool, [
    messageOf(who, 1, { period: before }),
    messageOf(who, 1, { period: after }),
    messageOf(who, 1, { period: now }),
  ]);
  expect(answer.verdicts).toEqual(["after", "before", "accepted"]);
  const { rows } = await pool.query("select period_start, used from usage where account_id = $1 order by 1", [
    who.subaccountId,
  ]);
  expect(rows.map((row) => row.used)).toEqual([0, 1, 0]);
});

test.each([
  ["a disabled subaccount", "update subaccount set state = 'disabled' where id = $1 and master_id = $2"],
  ["a closed subaccount", "update subaccount set state = 'closed' where id = $1 and master_id = $2"],
  ["a suspended subaccount", "update subaccount set suspended_at = pm_now() where id = $1 and master_id = $2"],
  ["a subaccount past its end date", "update subaccount set expires_at = pm_now() where id = $1 and master_id = $2"],
  [
    "the subaccount of a suspended master",
    "update master set suspended_at = pm_now() where $1::uuid is not null and id = $2",
  ],
  ["the subaccount of a closed master", "update master set state = 'closed' where $1::uuid is not null and id = $2"],
  [
    "the subaccount of a master past its end date",
    "update master set expires_at = pm_now() where $1::uuid is not null and id = $2",
  ],
])("%s is refused as closed, before any limit", async (_, change) => {
  const who = await account({ monthlyLimit: 1 });
  await pool.query(change, [who.subaccountId, who.masterId]);
  expect((await knock(pool, [messageOf(who, 5)])).verdicts).toEqual(["closed"]);
});

test("a missing row is an error, and nothing of the batch is stored", async () => {
  const who = await account();
  const { masterId } = await seedMaster(database);
  const cold = { masterId, subaccountId: await seedSubaccount(database, masterId) };
  const [warm, missing] = [messageOf(who), messageOf(cold)];
  await expect(knock(pool, [warm, missing])).rejects.toMatchObject({ code: "PM001" });
  const { rowCount } = await pool.query("select 1 from message where id = any($1)", [[warm.id, missing.id]]);
  expect(rowCount).toBe(0);
  await openRows(database, cold, thisMonth(database));
  expect((await knock(pool, [warm, missing])).verdicts).toEqual(["accepted", "accepted"]);
});

test("an id that was voided is neither stored nor charged, and its room goes to nobody else's bill", async () => {
  const who = await account({ monthlyLimit: 10 });
  const [voided, kept] = [messageOf(who, 3), messageOf(who, 4)];
  await pool.query(
    `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at) values ($1, $2, $3, $4, 0, 'void', pm_now())`,
    [voided.id, who.masterId, who.subaccountId, voided.period.start],
  );
  const answer = await knock(pool, [voided, kept]);
  expect(answer.verdicts).toEqual(["voided", "accepted"]);
  expect(answer.rows.get(who.subaccountId)?.used).toBe(4);
  expect((await pool.query("select 1 from message where id = $1", [voided.id])).rowCount).toBe(0);
  expect(await disagreements(database)).toEqual([]);
});

test("control: had the void been counted, the bill and the ledger would differ", async () => {
  await using other = await testDatabase();
  const { masterId } = await seedMaster(other);
  const who = { masterId, subaccountId: await seedSubaccount(other, masterId) };
  await openRows(other, who, thisMonth(other));
  await mutate(other.pool, "careless", "if gone is not null then", "if false then");
  const voided = messageOf(who, 3);
  await other.pool.query(
    `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at) values ($1, $2, $3, $4, 0, 'void', pm_now())`,
    [voided.id, who.masterId, who.subaccountId, voided.period.start],
  );
  await knock(other.pool, [voided], "careless");
  expect(await disagreements(other)).not.toEqual([]);
});

test("a limit of zero lets nothing pass; null is bounded by the master alone, whose cap may be above its allowance", async () => {
  expect((await knock(pool, [messageOf(await account({ monthlyLimit: 0 }))])).verdicts).toEqual(["subaccount"]);
  const unlimited = await account({ monthlyLimit: null }, { allowance: 10, overage: "bill", ceilingFactor: 1.5 });
  const answer = await knock(pool, [messageOf(unlimited, 15), messageOf(unlimited)]);
  expect(answer.verdicts).toEqual(["accepted", "master"]);
  expect(answer.rows.get(unlimited.masterId)).toMatchObject({ used: 15, cap: 15 });
});

test("a message of a held account is stored, and not handed over in memory", async () => {
  const who = await account();
  const held = messageOf(who);
  await pool.query("insert into hold (subaccount_id, held_at) values ($1, pm_now())", [who.subaccountId]);
  expect((await knock(pool, [held])).verdicts).toEqual(["accepted"]);
  const { rows } = await pool.query("select owner, attempt from queue where message_id = $1", [held.id]);
  expect(rows).toEqual([{ owner: null, attempt: 0 }]);
});

test("batches over the same accounts, whatever order they are given in, never wait for each other in a circle", async () => {
  const accounts = await Promise.all(Array.from({ length: 6 }, () => account({ monthlyLimit: null })));
  await Promise.all(
    Array.from({ length: 12 }, async (_, session) => {
      for (let i = 0; i < 10; i++) {
        const order = accounts.toSorted((a, b) => (a.masterId < b.masterId ? 1 : -1) * (session % 2 === 0 ? 1 : -1));
        await knock(
          pool,
          order.map((who) => messageOf(who, 1 + (i % 3))),
        );
      }
    }),
  );
  expect(await disagreements(database)).toEqual([]);
  const { rows } = await pool.query("select deadlocks from pg_stat_database where datname = current_database()");
  expect(rows).toEqual([{ deadlocks: 0 }]);
});

test.each([
  ["batches that lock in one order both go through", "accept_batch", false],
  ["control: a batch that locks backwards meets another in a circle, and the server ends it", "backwards", true],
])("%s", async (_, call, failed) => {
  await using other = await testDatabase({ max: 10, lockTimeoutMs: 20_000 });
  const { masterId } = await seedMaster(other);
  const who = { masterId, subaccountId: await seedSubaccount(other, masterId) };
  await openRows(other, who, thisMonth(other));
  await mutate(other.pool, "backwards", "order by u.account_id, u.period_start", "order by u.account_id desc");
  const [first, second] = [who.masterId, who.subaccountId].toSorted();
  const holders = [await holding(other, first as string), await holding(other, second as string)];
  const batches = [knock(other.pool, [messageOf(who)])];
  await waiting(other, 1);
  batches.push(knock(other.pool, [messageOf(who)], call));
  await waiting(other, 2);
  for (const holder of holders) {
    await holder.query("commit");
    holder.release();
    if (holder === holders[0]) await waiting(other, 2);
  }
  const ends = (await Promise.allSettled(batches)).map((end) => end.status);
  expect(ends.includes("rejected")).toBe(failed);
});

/** A session that holds the account's row. */
async function holding({ pool }: { pool: typeof database.pool }, accountId: string) {
  const client = await pool.connect();
  await client.query("begin");
  await client.query("select 1 from usage where account_id = $1 for update", [accountId]);
  return client;
}
