import { expect, test } from "vitest";
import type { AccountId, SubaccountId } from "../../src/platform/ids.ts";
import { newId, type TopUpId } from "../../src/platform/ids.ts";
import { type MasterSeed, type SubaccountSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { disagreements, knock, messageOf, openRows, thisMonth } from "./door.ts";

const database = await testDatabase({ max: 30, lockTimeoutMs: 20_000 });
const { pool } = database;

async function account(subaccount: SubaccountSeed = {}, master: MasterSeed = {}, at = database) {
  const { masterId } = await seedMaster(at, master);
  const who = { masterId, subaccountId: await seedSubaccount(at, masterId, subaccount) };
  await openRows(at, who, thisMonth(at));
  return who;
}

const setLimit = (id: SubaccountId, limit: number | null, at = database) =>
  at.pool.query("update subaccount set monthly_limit = $2 where id = $1", [id, limit]);
const setState = (id: SubaccountId, state: string, at = database) =>
  at.pool.query("update subaccount set state = $2 where id = $1", [id, state]);

/**
 * Sessions send while one changes the limit, and each call is held against what was in force: when it began after a
 * change's answer and ended before the next change began, exactly that limit; else one of those in between.
 * Returns what contradicts.
 */
async function contradictions(at: TestDatabase, who: Account, limits: readonly number[]): Promise<string[]> {
  const answered = { limit: limits[0] as number, n: 0 };
  const begun = { n: 0 };
  const found: string[] = [];
  let ended = false;
  await setLimit(who.subaccountId, answered.limit, at);
  const session = async () => {
    while (!ended) {
      const from = answered.n;
      const answer = await knock(at.pool, [messageOf(who)]);
      const allowed = limits.slice(from, begun.n + 1);
      const row = answer.rows.get(who.subaccountId);
      const accepted = answer.verdicts[0] === "accepted";
      if (row === undefined || row.cap === null || !allowed.includes(row.cap)) {
        found.push(`cap ${row?.cap} instead of ${allowed}`);
      } else if (accepted && row.used > row.cap) found.push(`${row.used} used of ${row.cap}`);
      if (found.length > 0) ended = true;
    }
  };
  const changes = async () => {
    for (let n = 1; n < limits.length && !ended; n++) {
      begun.n = n;
      await setLimit(who.subaccountId, limits[n] as number, at);
      answered.n = n;
      for (let i = 0; i < 5 && !ended; i++) await knock(at.pool, [messageOf(who)]);
    }
    ended = true;
  };
  await Promise.all([changes(), ...Array.from({ length: 10 }, session)]);
  return found;
}

const upAndDown = [0, 40, 20, 60, 10, 80, 79, 200, 0, 150, 300, 1, 260, 250, 400, 5, 500];

test("after the answer of a change no message is accepted beyond the new limit, however many sessions send", async () => {
  const who = await account();
  expect(await contradictions(database, who, upAndDown)).toEqual([]);
  expect(await disagreements(database)).toEqual([]);
});

test("control: a change that does not reach the usage row is found out", async () => {
  await using other = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
  const who = await account({ monthlyLimit: 0 }, {}, other);
  await other.pool.query("alter table subaccount disable trigger subaccount_syncs_usage");
  expect(await contradictions(other, who, upAndDown)).not.toEqual([]);
});

test("after the answer of a close nothing is accepted, and after a reopening it goes on in the same period", async () => {
  const who = await account({ monthlyLimit: null });
  let closed = false;
  let closings = 0; // an answer may come so late that the account was opened and closed again meanwhile
  let ended = false;
  const late: string[] = [];
  const session = async () => {
    while (!ended) {
      const before = closed;
      const closing = closings;
      const [verdict] = (await knock(pool, [messageOf(who)])).verdicts;
      if (before && closed && closing === closings && verdict !== "closed") late.push(String(verdict));
    }
  };
  const changes = async () => {
    for (let i = 0; i < 15; i++) {
      await setState(who.subaccountId, "closed");
      closings += 1;
      closed = true;
      for (let n = 0; n < 3; n++) await knock(pool, [messageOf(who)]);
      closed = false;
      await setState(who.subaccountId, "active");
      expect((await knock(pool, [messageOf(who)])).verdicts).toEqual(["accepted"]);
    }
    ended = true;
  };
  await Promise.all([changes(), ...Array.from({ length: 8 }, session)]);
  expect(late).toEqual([]);
});

test("a row that is opened while its account changes has the change", async () => {
  for (const [change, expected] of [
    ["update subaccount set monthly_limit = 7 where id = $1", { cap: 7 }],
    ["update subaccount set state = 'closed' where id = $1", { open: false }],
    [
      "update master set alert_thresholds = '{50}' where id = (select master_id from subaccount where id = $1)",
      { thresholds: [50] },
    ],
  ] as const) {
    const { masterId } = await seedMaster(database);
    const subaccountId = await seedSubaccount(database, masterId);
    const changer = await pool.connect();
    await changer.query("begin");
    await changer.query(change, [subaccountId]);
    const opened = openRows(database, { masterId, subaccountId }, thisMonth(database));
    await someoneWaits();
    await changer.query("commit");
    changer.release();
    await opened;
    const { rows } = await pool.query("select cap, open, thresholds from usage where account_id = $1", [subaccountId]);
    expect(rows[0]).toMatchObject(expected);
  }
});

test("a change that is under way while a row is opened reaches the row", async () => {
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId);
  const { start, end } = thisMonth(database);
  const opener = await pool.connect();
  await opener.query("begin");
  await opener.query("select open_usage($1, $2, $3)", [subaccountId, start, end]);
  const changed = setLimit(subaccountId, 7);
  await someoneWaits();
  await opener.query("commit");
  opener.release();
  await changed;
  const { rows } = await pool.query("select cap from usage where account_id = $1", [subaccountId]);
  expect(rows).toEqual([{ cap: 7 }]);
});

async function someoneWaits(): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (rowCount === 1) return;
  }
}

async function topUp(who: Account, units: number): Promise<void> {
  await pool.query(
    `with locked as (select id from subaccount where id = $2 for no key update)
     insert into top_up (id, subaccount_id, master_id, period_start, units, created_at) select $1, id, $3, $4, $5, pm_now() from locked`,
    [newId<TopUpId>(database.clock), who.subaccountId, who.masterId, thisMonth(database).start, units],
  );
}

test("top-ups at once all add to the period, against sessions that send", async () => {
  const who = await account({ monthlyLimit: 10 });
  const sending = Array.from({ length: 10 }, async () => {
    for (let i = 0; i < 15; i++) await knock(pool, [messageOf(who)]);
  });
  await Promise.all([...sending, ...Array.from({ length: 10 }, () => topUp(who, 5))]);
  for (let i = 0; i < 60; i++) await knock(pool, [messageOf(who)]);
  const { rows } = await pool.query("select used, cap, base, top_up from usage where account_id = $1", [
    who.subaccountId,
  ]);
  expect(rows).toEqual([{ used: 60, cap: 60, base: 60, top_up: 50 }]);
});

test("a top-up of a row that is not there yet is in it when it is opened", async () => {
  const { masterId } = await seedMaster(database);
  const who = { masterId, subaccountId: await seedSubaccount(database, masterId, { monthlyLimit: 1 }) };
  await topUp(who, 4);
  await openRows(database, who, thisMonth(database));
  expect((await knock(pool, [messageOf(who, 5)])).verdicts).toEqual(["accepted"]);
});

test("a storm of sends over many accounts and of every kind of change ends without a deadlock, every sum exact", async () => {
  await using other = await testDatabase({ max: 24, lockTimeoutMs: 20_000 });
  const { masterId } = await seedMaster(other, { allowance: 400 });
  const members: Account[] = [];
  for (let i = 0; i < 6; i++) {
    const subaccountId = await seedSubaccount(other, masterId, { monthlyLimit: 60 });
    members.push({ masterId, subaccountId });
    await openRows(other, members[i] as Account, thisMonth(other));
  }
  const pick = (n: number) => members[n % members.length] as Account;
  const errors: unknown[] = [];
  const attempt = async (work: () => Promise<unknown>) => work().catch((error: unknown) => errors.push(error));
  const senders = Array.from({ length: 8 }, async (_, s) => {
    for (let i = 0; i < 25; i++) {
      await attempt(() =>
        knock(other.pool, [messageOf(pick(s + i)), messageOf(pick(i * 5 + 1), 2), messageOf(pick(s))]),
      );
    }
  });
  const run = (text: string, values: unknown[]) => attempt(() => other.pool.query(text, values));
  const changers = Array.from({ length: 4 }, async (_, c) => {
    for (let i = 0; i < 15; i++) {
      const { subaccountId } = pick(c * 2 + i);
      await run("update subaccount set monthly_limit = $2 where id = $1", [subaccountId, 30 + ((i * 17 + c) % 50)]);
      await run(
        "update subaccount set state = case state when 'active' then 'disabled' else 'active' end where id = $1",
        [subaccountId],
      );
      await run("update master set allowance = $2, alert_thresholds = $3 where id = $1", [
        masterId,
        300 + i * 10,
        [50 + i],
      ]);
      await run("select alert_refusal($1, $2)", [subaccountId, thisMonth(other).start]);
      await run("select sync_usage(id) from (select id from subaccount where master_id = $1 order by id) s", [
        masterId,
      ]);
    }
  });
  await Promise.all([...senders, ...changers]);
  expect(errors).toEqual([]);
  expect(await disagreements(other)).toEqual([]);
  const { rows } = await other.pool.query("select deadlocks from pg_stat_database where datname = current_database()");
  expect(rows).toEqual([{ deadlocks: 0 }]);
});

/** Alerts of an account in the order they fired; the mail jobs and events that went with all of them. */
async function alerts(at: TestDatabase, id: AccountId) {
  const { rows } = await at.pool.query<{ level: number; reason: string }>(
    "select level, reason from alert where account_id = $1 order by version",
    [id],
  );
  return rows.map(({ level, reason }) => (reason === "threshold" ? level : `${level} ${reason}`));
}

test("each threshold fires once, however many sessions cross it at once, with one mail job and one event each", async () => {
  await using other = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
  const who = await account({ monthlyLimit: 100 }, { allowance: 100 }, other);
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      for (let i = 0; i < 10; i++) await knock(other.pool, [messageOf(who)]);
    }),
  );
  expect(await alerts(other, who.subaccountId)).toEqual([80, 90, 95, 100]);
  expect(await alerts(other, who.masterId)).toEqual([80, 90, 95, 100]);
  const { rows } = await other.pool.query(
    `select (select count(*) from graphile_worker.jobs where task_identifier = 'alert') as jobs,
            (select count(*) from event where type = 'quota.threshold') as events`,
  );
  expect(rows).toEqual([{ jobs: 8, events: 8 }]);
});

test("a crossing and a lowering at the same moment fire one alert for the threshold both cross", async () => {
  for (let i = 0; i < 15; i++) {
    const who = await account({ monthlyLimit: 100 });
    await knock(pool, [messageOf(who, 75)]);
    await Promise.all([knock(pool, [messageOf(who, 5)]), setLimit(who.subaccountId, 90)]);
    expect(await alerts(database, who.subaccountId)).toEqual([80]);
  }
});

test("a message that crosses several thresholds fires the highest alone", async () => {
  const who = await account();
  await knock(pool, [messageOf(who, 96)]);
  expect(await alerts(database, who.subaccountId)).toEqual([95]);
});

test("a raised limit re-arms in silence, a lowered one fires at once, and no other change does either", async () => {
  const who = await account();
  await knock(pool, [messageOf(who, 92)]);
  await pool.query("update subaccount set name = 'Another name', state = 'disabled' where id = $1", [who.subaccountId]);
  await setState(who.subaccountId, "active");
  expect(await alerts(database, who.subaccountId)).toEqual([90]);
  await setLimit(who.subaccountId, 200);
  expect(await alerts(database, who.subaccountId)).toEqual([90]);
  await knock(pool, [messageOf(who, 70)]);
  expect(await alerts(database, who.subaccountId)).toEqual([90, 80]);
  await setLimit(who.subaccountId, 170);
  expect(await alerts(database, who.subaccountId)).toEqual([90, 80, 95]);
  await topUp(who, 1000);
  await setLimit(who.subaccountId, 171);
  expect(await alerts(database, who.subaccountId)).toEqual([90, 80, 95]);
});

test("the first refusal alerts like a hundred percent, once for that limit, also after a change of something else", async () => {
  const who = await account();
  const refuse = () =>
    pool.query("select alert_refusal($1, $2) as fired", [who.subaccountId, thisMonth(database).start]);
  await knock(pool, [messageOf(who, 97)]);
  expect((await refuse()).rows).toEqual([{ fired: true }]);
  await pool.query("update subaccount set name = 'Another name', expires_at = '2100-01-01' where id = $1", [
    who.subaccountId,
  ]);
  expect((await refuse()).rows).toEqual([{ fired: false }]);
  await knock(pool, [messageOf(who, 3)]);
  expect(await alerts(database, who.subaccountId)).toEqual([95, "100 refused"]);
  await setLimit(who.subaccountId, 101);
  expect(await alerts(database, who.subaccountId)).toEqual([95, "100 refused"]);
  expect((await refuse()).rows).toEqual([{ fired: true }]);
});

test("a master is alerted by its allowance, not by its cap, and nobody without a base", async () => {
  const who = await account({ monthlyLimit: null }, { allowance: 10, overage: "bill", ceilingFactor: 3 });
  await knock(pool, [messageOf(who, 9)]);
  await knock(pool, [messageOf(who, 9)]);
  expect(await alerts(database, who.masterId)).toEqual([90, 100]);
  expect(await alerts(database, who.subaccountId)).toEqual([]);
});
