import { expect, test } from "vitest";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { reconcile } from "../../src/quota/reconcile.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { knock, messageOf, thisMonth } from "./door.ts";
import { account, chargeOf, send } from "./gate-contract.ts";

const { redis, server } = await testRedis();
const database = await testDatabase();
const metrics = createMetrics();
const open = () => createGate({ database, metrics, log: silentLog, clock: database.clock, redis, probeEveryMs: 20 });

const keyOf = ({ masterId }: Account) => `pm:{${masterId}}:${thisMonth(database).start.getTime()}`;
const used = async (who: Account) => [
  await redis.hget(keyOf(who), `u${who.subaccountId}`),
  await redis.hget(keyOf(who), `u${who.masterId}`),
];
const drift = async () => (await metrics.drift.get()).values[0]?.value;

async function sent(units: number) {
  const gate = open();
  const who = await account({ database });
  await send({ database, gate }, who, units);
  const run = (which: "active" | "all" = "active") =>
    reconcile({ database, gate, metrics, log: silentLog, patienceMs: 1, which });
  return { gate, who, run };
}

test("counters that agree with the rows are left alone, and so are cold ones", async () => {
  const { who, run } = await sent(5);
  const cold = await account({ database });
  expect(await run()).toEqual([]);
  expect([await drift(), await redis.exists(keyOf(cold))]).toEqual([0, 0]);
  expect(await used(who)).toEqual(["5", "5"]);
});

test("a counter that stays too high (a lost release) or too low (an old image) is set right and reported", async () => {
  const { who, run } = await sent(5);
  await redis.hset(keyOf(who), { [`u${who.subaccountId}`]: 45, [`u${who.masterId}`]: 2 });
  const drifts = await run();
  const { masterId } = who;
  const periodStart = thisMonth(database).start;
  expect(drifts).toHaveLength(2);
  expect(drifts).toContainEqual({
    accountId: who.subaccountId,
    masterId,
    periodStart,
    redisUsed: 45,
    used: 5,
    redisCap: 100,
    cap: 100,
  });
  expect(drifts).toContainEqual({
    accountId: masterId,
    masterId,
    periodStart,
    redisUsed: 2,
    used: 5,
    redisCap: null,
    cap: null,
  });
  expect([await used(who), await drift()]).toEqual([["5", "5"], 40]);
  expect([await run("all"), await drift()]).toEqual([[], 0]);
});

test("a cap that Redis has not heard of is set, also for an account that may not send any more", async () => {
  const { who, run } = await sent(5);
  await database.pool.query("update subaccount set monthly_limit = 70 where id = $1", [who.subaccountId]);
  expect(await run()).toMatchObject([{ redisCap: 100, cap: 70 }]);
  await database.pool.query("update subaccount set state = 'disabled' where id = $1", [who.subaccountId]);
  expect(await run("all")).toMatchObject([{ redisCap: 70, cap: 0 }]);
});

test("mail that is between gate and door while it looks is no drift", async () => {
  const { gate, who } = await sent(5);
  const charge = chargeOf({ database }, who, 20);
  await gate.reserve(charge);
  let readings = 0;
  const { pool } = database;
  const query = async (...args: [string, unknown[]]) => {
    const [, [id]] = args;
    // It is stored between the two readings of its rows.
    if (id === who.masterId && ++readings === 2) await knock(pool, [messageOf(who, 20)]);
    return pool.query(...args);
  };
  const watched = { database: { pool: { query } as never }, gate, metrics, log: silentLog };
  const found = await reconcile({ ...watched, patienceMs: 1, which: "all" });
  expect(readings).toBe(2);
  expect(found.filter((one) => one.masterId === who.masterId)).toEqual([]);
  expect(await used(who)).toEqual(["25", "25"]);
});

test("only masters whose rows have changed since the last look are looked at, unless all are asked for", async () => {
  const { gate, who, run } = await sent(5);
  await run();
  await redis.hset(keyOf(who), `u${who.subaccountId}`, 45);
  expect(await run()).toEqual([]);
  await knock(database.pool, [messageOf(who)]);
  expect((await run()).map(({ redisUsed, used }) => [redisUsed, used]).toSorted()).toEqual([
    [45, 6],
    [5, 6],
  ]);
  await redis.hset(keyOf(who), `u${who.subaccountId}`, 45);
  expect(await reconcile({ database, gate, log: silentLog, patienceMs: 1, which: "all" })).toHaveLength(1);
});

test("after Redis was away all are looked at: an old image of a master that sends no more is set right", async () => {
  const { gate, who, run } = await sent(5);
  await redis.save();
  await send({ database, gate }, who, 20);
  await run();
  expect(await used(who)).toEqual(["25", "25"]);
  await server.stop("SIGKILL");
  while (gate.counters?.ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.start();
  while (!gate.counters?.ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await used(who)).toEqual(["5", "5"]);
  const found = await run();
  expect(found.filter(({ masterId }) => masterId === who.masterId)).toHaveLength(2);
  expect(await used(who)).toEqual(["25", "25"]);
});

test("without Redis there is nothing to do; while it is away the job waits, and an operator is told", async () => {
  const without = createGate({ database, metrics, log: silentLog, clock: database.clock });
  expect(await reconcile({ database, gate: without, log: silentLog, which: "all" })).toEqual([]);
  const { gate, who, run } = await sent(5);
  await redis.hset(keyOf(who), `u${who.subaccountId}`, 45);
  await redis.save();
  await server.stop("SIGKILL");
  while (gate.counters?.ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await run()).toEqual([]);
  await expect(run("all")).rejects.toMatchObject({ kind: "unavailable" });
  await server.start();
  while (!gate.counters?.ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await run()).toMatchObject([{ redisUsed: 45, used: 5 }]);
});
