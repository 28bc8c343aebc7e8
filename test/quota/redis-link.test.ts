/** Answers of Redis that are late or lost, a replica promoted without the last writes, a storm of FLUSHALL: never over. */
import { once } from "node:events";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openRedis, redisReady } from "../../src/platform/redis.ts";
import { createCounters, scripts } from "../../src/quota/counters.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { reconcile } from "../../src/quota/reconcile.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { startRedisLink } from "../support/redis-link.ts";
import { disagreements } from "./door.ts";
import { account, chargeOf, send, standings } from "./gate-contract.ts";

const { url, redis: direct } = await testRedis();
const database = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
const { clock } = database;

/** A gate with a link of its own. */
async function linked() {
  const link = await startRedisLink(url);
  const redis = openRedis(link.url, silentLog);
  afterAll(() => redis.disconnect());
  expect(await redisReady(redis, 5000)).toBe(true);
  const metrics = createMetrics();
  const gate = createGate({ database, metrics, log: silentLog, clock, redis, probeEveryMs: 20 });
  const isOpen = async () => (await metrics.gateBreakerOpen.get()).values[0]?.value === 1;
  const settle = () => reconcile({ database, gate, metrics, log: silentLog, patienceMs: 1, which: "active" });
  return { link, redis, world: { database, gate }, isOpen, settle, metrics };
}

/** Four of ten are sent. */
async function filled(world: Parameters<typeof send>[0]): Promise<Account> {
  const who = await account(world, { monthlyLimit: 10 });
  for (let i = 0; i < 4; i++) await send(world, who);
  return who;
}

async function theRest(world: Parameters<typeof send>[0], who: Account): Promise<string[]> {
  const told = await Promise.all(
    Array.from({ length: 3 }, async () => [await send(world, who), await send(world, who), await send(world, who)]),
  );
  return told.flat().toSorted();
}
const sixOfNine = [...Array(3).fill("over"), ...Array(6).fill("reserved")];

/** What Redis has counted for the subaccount, seen beside the link. */
async function counted(who: Account): Promise<number> {
  const { start } = chargeOf({ database }, who, 1).period;
  return (await createCounters(direct, 0).read(who.masterId, start)).get(who.subaccountId)?.used ?? 0;
}

test("answers that are late within the second are waited for; later ones open the breaker, and the limit holds", async () => {
  const { link, world, isOpen } = await linked();
  const [patient, hasty] = [await filled(world), await filled(world)];
  link.delay(100);
  expect([await theRest(world, patient), await isOpen()]).toEqual([sixOfNine, false]);
  link.delay(1500);
  expect([await theRest(world, hasty), await isOpen()]).toEqual([sixOfNine, true]);
  link.delay(0);
  await expect.poll(isOpen, { timeout: 20_000 }).toBe(false);
  expect([await send(world, patient), await send(world, hasty)]).toEqual(["over", "over"]);
  expect(await disagreements(database)).toEqual([]);
});

test("an answer lost after the script has counted leaves Redis too high, which refuses nobody and is put right", async () => {
  const { link, world, isOpen, settle } = await linked();
  const who = await filled(world);
  link.loseAnswer(scripts.reserve.sha);
  expect(await send(world, who)).toBe("reserved");
  await expect.poll(isOpen, { timeout: 20_000 }).toBe(false);
  expect(await counted(who)).toBe(5); // what was let through without it is charged by the rows alone
  expect(await theRest(world, who)).toEqual([...Array(4).fill("over"), ...Array(5).fill("reserved")]);
  await settle();
  expect(await counted(who)).toBe(10);
  expect(await disagreements(database)).toEqual([]);
});

test("control: a client that sends unanswered scripts again would count twice", async () => {
  const { link, world } = await linked();
  const who = await filled(world);
  const eager = new Redis(link.url, { retryStrategy: () => 20 });
  afterAll(() => eager.disconnect());
  await once(eager, "ready");
  link.loseAnswer(scripts.reserve.sha);
  await createCounters(eager, 0).reserve(chargeOf(world, who, 1));
  expect(await counted(who)).toBe(6);
});

test("a replica promoted without the last writes lets nobody over, and has the sums after the next reconciling", async () => {
  const { link, world, redis, settle } = await linked();
  await using replica = await testRedis();
  const who = await filled(world);
  await replica.redis.replicaof("127.0.0.1", Number(new URL(url).port));
  const start = chargeOf(world, who, 1).period.start;
  const readReplica = () => createCounters(replica.redis, 0).read(who.masterId, start);
  await expect.poll(async () => (await readReplica()).size, { timeout: 20_000 }).toBe(2);
  await replica.redis.replicaof("NO", "ONE");
  for (let i = 0; i < 4; i++) await send(world, who); // the replica hears no more of this
  const again = once(redis, "ready");
  link.lead(Number(new URL(replica.url).port));
  await again;
  const of = async () => (await readReplica()).get(who.subaccountId)?.used;
  expect(await of()).toBe(4);
  const told = [await send(world, who, 3), await send(world, who, 2), await send(world, who)];
  expect(told).toEqual(["over", "reserved", "over"]);
  await settle();
  expect(await of()).toBe(10);
  expect(await disagreements(database)).toEqual([]);
});

test("a storm of FLUSHALL under load: exactly the limit, and the counters are back afterwards", async () => {
  const { world, settle } = await linked();
  const who = await account(world, { monthlyLimit: 50 });
  let storming = true;
  const storm = (async () => {
    while (storming) await direct.flushall();
  })();
  const told = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const kinds: string[] = [];
      for (let i = 0; i < 10; i++) kinds.push(await send(world, who));
      return kinds;
    }),
  );
  storming = false;
  await storm;
  expect(told.flat().filter((kind) => kind === "reserved")).toHaveLength(50);
  await world.gate.publish(await standings(database, who));
  await settle();
  expect(await counted(who)).toBe(50);
  expect(await disagreements(database)).toEqual([]);
});
