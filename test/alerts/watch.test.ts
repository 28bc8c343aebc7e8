/** Jumps and forecasts that the job finds: when, once, and nothing else. */
import { expect, test } from "vitest";
import { watchUsage } from "../../src/alerts/watch.ts";
import { readForecast } from "../../src/metering/read-forecast.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import type { AccountId } from "../../src/platform/ids.ts";
import { type MasterSeed, type SubaccountSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import type { TestDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { databaseAt, madeLongAgo, sentBefore, TUESDAY } from "../support/long-ago.ts";
import { operator } from "../support/tenants.ts";

const DAY_MS = 86_400_000;

async function scene(seed: SubaccountSeed = {}, master: MasterSeed = {}, at = TUESDAY) {
  const database = await databaseAt(at);
  const { masterId } = await seedMaster(database, master);
  const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit: null, ...seed });
  await madeLongAgo(database, masterId, subaccountId);
  const account = { masterId, subaccountId };
  const send = (units: number, through: TestDatabase = database) => acceptUnits(through, account, units);
  return { database, ...account, account, send };
}

const watch = ({ db, clock }: TestDatabase) => watchUsage(db, clock);

async function alerts({ pool }: TestDatabase, account?: AccountId) {
  const { rows } = await pool.query(
    "select reason, used, base, level, data from alert where $1::uuid is null or account_id = $1 order by id",
    [account ?? null],
  );
  return rows;
}

const events = async ({ pool }: TestDatabase, type: string) =>
  (await pool.query("select subaccount_id, data from event where type = $1 order by id", [type])).rows;

test("a day that brings five times what is usual is told, as an event and as a job, and once", async () => {
  const { database, subaccountId, account, send } = await scene();
  await sentBefore(database, account, 28, () => 200);
  await send(999);
  expect(await watch(database)).toMatchObject({ jumps: 0 });
  await send(1);
  expect(await watch(database)).toMatchObject({ accounts: 2, jumps: 1 });
  expect(await alerts(database)).toEqual([
    expect.objectContaining({ reason: "jump", data: { date: "2035-10-16", units: 1000, usual: 200 } }),
  ]);
  expect(await events(database, "usage.jump")).toEqual([
    {
      subaccount_id: subaccountId,
      data: { date: "2035-10-16", units: 1000, usual: 200, period_start: "2035-10-01T00:00:00.000Z" },
    },
  ]);
  await send(1000);
  expect(await watch(database)).toMatchObject({ accounts: 2, jumps: 0 });
  await database.pool.query("update usage_mark set jump_day = null");
  expect(await watch(database)).toMatchObject({ jumps: 0 });
  expect(await alerts(database)).toHaveLength(1);
  const { rows } = await database.pool.query("select payload from graphile_worker._private_jobs");
  expect(rows).toHaveLength(1);
});

test("the next day it is told again; a day that is as usual is not", async () => {
  const { database, account, send } = await scene();
  await sentBefore(database, account, 28, () => 200);
  await send(1000);
  await watch(database);
  await using tomorrow = await later(database, DAY_MS);
  await send(300, tomorrow);
  expect(await watch(tomorrow)).toMatchObject({ jumps: 0 });
  await send(1500, tomorrow);
  expect(await watch(tomorrow)).toMatchObject({ jumps: 1 });
  expect((await alerts(database)).map(({ data }) => data.date)).toEqual(["2035-10-16", "2035-10-17"]);
});

test("a few hundred are no jump, whatever is usual, and a letter that comes every Tuesday is none", async () => {
  const few = await scene();
  await sentBefore(few.database, few.account, 28, () => 10);
  await few.send(499);
  expect(await watch(few.database)).toMatchObject({ jumps: 0 });
  const weekly = await scene();
  await sentBefore(weekly.database, weekly.account, 28, (date) => (date.getUTCDay() === 2 ? 4000 : 20));
  await weekly.send(4100);
  expect(await watch(weekly.database)).toMatchObject({ jumps: 0 });
});

test("nothing is usual yet for an account of a few days; everything is unusual for one that never sent", async () => {
  const young = await scene();
  await sentBefore(young.database, young.account, 3, () => 10);
  await young.send(5000);
  expect(await watch(young.database)).toMatchObject({ jumps: 0 });
  const idle = await scene();
  await idle.send(5000);
  expect(await watch(idle.database)).toMatchObject({ jumps: 1 });
  const fresh = await scene();
  await fresh.database.pool.query("update subaccount set created_at = created_at + interval '1 year'");
  await fresh.send(5000);
  expect(await watch(fresh.database)).toMatchObject({ jumps: 0 });
});

test("a rule says how much is a jump: the account's own before its master's, and that before the default", async () => {
  const { database, masterId, subaccountId, account, send } = await scene();
  await sentBefore(database, account, 28, () => 200);
  const rule = (owner: string | null, enabled: boolean, factor: number) =>
    database.pool.query(
      `insert into alert_rule (id, master_id, subaccount_id, kind, name, enabled, topic, factor, minimum, created_at, updated_at)
       values (gen_random_uuid(), $1, $2, 'jump', 'jump', $3, 'quota', $4, 100, now(), now())`,
      [masterId, owner, enabled, factor],
    );
  await rule(null, true, 10);
  await send(1500);
  expect(await watch(database)).toMatchObject({ jumps: 0 });
  await rule(subaccountId, false, 2);
  expect(await watch(database)).toMatchObject({ jumps: 0 });
  await database.pool.query("update alert_rule set enabled = true where subaccount_id is not null");
  expect(await watch(database)).toMatchObject({ jumps: 1 });
});

test("a limit that will be reached in three days is told once, with the same figures as the API has", async () => {
  const { database, subaccountId, account, send } = await scene({ monthlyLimit: 2000 });
  await sentBefore(database, account, 28, () => 100); // 1500 of this period
  await send(50);
  expect(await watch(database)).toMatchObject({ forecasts: 0 }); // 450 are left: more than four days
  expect(await watch(database)).toMatchObject({ forecasts: 0 });
  await using tomorrow = await later(database, DAY_MS);
  await send(110, tomorrow);
  expect(await watch(tomorrow)).toMatchObject({ forecasts: 1 });
  const told = (await alerts(database, subaccountId)).find(({ reason }) => reason === "forecast");
  const { reaches, atEnd, used } = await readForecast(tomorrow.db, operator, subaccountId, tomorrow.clock);
  expect(told).toMatchObject({ reason: "forecast", used, base: 2000, data: { ...reaches, at_end: atEnd } });
  expect(reaches.expected).toBe("2035-10-20");
  expect(await events(database, "quota.forecast")).toMatchObject([{ subaccount_id: subaccountId, data: { used } }]);
  await database.pool.query("update usage_mark set foreseen_day = null");
  await send(10, tomorrow);
  expect(await watch(tomorrow)).toMatchObject({ forecasts: 0 });
});

test("a raised limit is foretold anew; the master's own allowance is foretold too", async () => {
  const { database, masterId, subaccountId, account, send } = await scene({ monthlyLimit: 1700 }, { allowance: 1900 });
  await sentBefore(database, account, 28, () => 100);
  await send(50);
  expect(await watch(database)).toMatchObject({ forecasts: 1 });
  await database.pool.query("update subaccount set monthly_limit = 1800 where id = $1", [subaccountId]);
  await using tomorrow = await later(database, DAY_MS);
  await send(50, tomorrow);
  expect(await watch(tomorrow)).toMatchObject({ forecasts: 2 });
  const foretold = async (id: AccountId) =>
    (await alerts(database, id)).filter(({ reason }) => reason === "forecast").map(({ base }) => base);
  expect(await foretold(masterId)).toEqual([1900]);
  expect(await foretold(subaccountId)).toEqual([1700, 1800]);
});

test("summed days and days read from the ledger say the same", async () => {
  const { database, subaccountId, account } = await scene({ monthlyLimit: 10_000 });
  await sentBefore(database, account, 40, (date, ago) => 100 + ((ago * 37) % 90) + date.getUTCDay() * 10);
  const read = () => readForecast(database.db, operator, subaccountId, database.clock);
  const before = await read();
  expect(before).toMatchObject({ state: "not_expected", days: 28 });
  expect((await sumDays(database.db)).length).toBeGreaterThan(30);
  expect(await read()).toEqual(before);
});

test("a run that dies in the middle has told all or nothing of an account, and the next one tells the rest once", async () => {
  const { database, masterId, account, send } = await scene();
  const other = await seedSubaccount(database, masterId, { monthlyLimit: null });
  await madeLongAgo(database, other);
  for (const subaccountId of [account.subaccountId, other]) {
    await sentBefore(database, { masterId, subaccountId }, 28, () => 100);
    await acceptUnits(database, { masterId, subaccountId }, 2000);
  }
  await send(1);
  await database.pool.query(`create function stop() returns trigger language plpgsql as $$ begin
      if new.account_id = '${other}' then raise exception 'power cut'; end if; return null; end $$;
    create trigger stop after insert on alert for each row execute function stop()`);
  await expect(watch(database)).rejects.toThrow("power cut");
  expect(await alerts(database)).toHaveLength(1);
  const { rows } = await database.pool.query("select jump_day from usage_mark where account_id = $1", [other]);
  expect(rows).toEqual([{ jump_day: null }]);
  await database.pool.query("drop trigger stop on alert");
  expect(await watch(database)).toMatchObject({ accounts: 0, jumps: 1 });
  expect(await alerts(database)).toHaveLength(2);
});

test("two runs at once tell each once; control: without its index a jump is told twice", async () => {
  const { database, account, send } = await scene();
  await sentBefore(database, account, 28, () => 100);
  await send(2000);
  const twice = async () => {
    await database.pool.query("update usage_mark set jump_day = null");
    return (await watch(database)).jumps;
  };
  const both = await Promise.all([watch(database), watch(database)]);
  expect(both.reduce((sum, { jumps }) => sum + jumps, 0)).toBe(1);
  expect(await twice()).toBe(0);
  await database.pool.query("drop index alert_jump_once");
  expect(await twice()).toBe(1);
});
