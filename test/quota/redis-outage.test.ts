/** Redis away, silent, full, or back with an old image: acceptance goes on, exact, and the breaker closes by itself. */
import { beforeEach, expect, test } from "vitest";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { publishAccount } from "../../src/quota/publish.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { testRedis } from "../support/redis.ts";
import { disagreements } from "./door.ts";
import { account, chargeOf, send } from "./gate-contract.ts";

const { redis, server } = await testRedis();
const database = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
const metrics = createMetrics();
const events: string[] = [];
const log = createLog("info", {
  write: (line: string) => events.push((JSON.parse(line) as { event: string }).event),
} as never);
const gate = createGate({ database, metrics, log, clock: database.clock, redis, probeEveryMs: 20 });
const world = { database, gate };
const breakers = () => events.filter((event) => event.startsWith("quota.breaker"));
const open = async () => (await metrics.gateBreakerOpen.get()).values[0]?.value;

beforeEach(() => {
  events.length = 0;
});

/** Until the breaker has closed by itself. */
async function healed(): Promise<void> {
  while ((await open()) !== 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function filled(): Promise<Account> {
  const who = await account(world, { monthlyLimit: 10 });
  for (let i = 0; i < 4; i++) await send(world, who);
  return who;
}

/** Four of ten were sent; the other six and not one more, over several sessions. */
async function therest(who: Account): Promise<string[]> {
  const told = await Promise.all(
    Array.from({ length: 3 }, async () => [await send(world, who), await send(world, who), await send(world, who)]),
  );
  return told.flat().toSorted();
}
const sixOfNine = [...Array(3).fill("over"), ...Array(6).fill("reserved")];

test("a server that goes and comes back empty", async () => {
  const who = await filled();
  await server.stop("SIGKILL");
  expect(await therest(who)).toEqual(sixOfNine);
  expect([breakers(), await open()]).toEqual([["quota.breaker_opened"], 1]);
  await server.start();
  await healed();
  expect(breakers()).toEqual(["quota.breaker_opened", "quota.breaker_closed"]);
  expect(await send(world, who)).toBe("over");
  expect(await disagreements(database)).toEqual([]);
});

test("a server that comes back with an image from before", async () => {
  const who = await filled();
  await redis.save();
  for (let i = 0; i < 4; i++) await send(world, who);
  await server.stop("SIGKILL");
  await server.start();
  await healed();
  const told = [await send(world, who, 3), await send(world, who, 2), await send(world, who)];
  expect(told).toEqual(["over", "reserved", "over"]);
  expect(await disagreements(database)).toEqual([]);
});

test("a server that says nothing: the first wait a second, the rest not at all", async () => {
  const who = await filled();
  server.pause();
  const told = await therest(who);
  expect([told, breakers()]).toEqual([sixOfNine, ["quota.breaker_opened"]]);
  const startedAtMs = performance.now();
  for (let i = 0; i < 20; i++) await gate.reserve(chargeOf(world, who, 1));
  expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  server.resume();
  await healed();
  expect(await send(world, who)).toBe("over");
});

test("a server that is full answers, but can't count: it stays closed out until a script can write again", async () => {
  const who = await filled();
  await redis.config("SET", "maxmemory", "1");
  expect(await therest(who)).toEqual(sixOfNine);
  expect(breakers()).toEqual(["quota.breaker_opened"]);
  await redis.config("SET", "maxmemory", "0");
  await healed();
  expect(await send(world, who)).toBe("over");
});

test("what was let through without Redis is not given back to it", async () => {
  const who = await filled();
  await server.stop("SIGKILL");
  const charge = chargeOf(world, who, 3);
  await gate.reserve(charge);
  await server.start();
  await healed();
  await send(world, who);
  const before = await redis.keys("*");
  await gate.release(charge);
  const key = before.find((name) => name.includes(who.masterId)) as string;
  expect(await redis.hget(key, `u${who.subaccountId}`)).toBe("5");
});

test("a limit that is changed while Redis is away holds at once", async () => {
  const who = await filled();
  await server.stop("SIGKILL");
  await gate.reserve(chargeOf(world, who, 1));
  await database.pool.query("update subaccount set monthly_limit = 4 where id = $1", [who.subaccountId]);
  await publishAccount(database.db, gate, who.subaccountId);
  expect(await send(world, who)).toBe("over");
  await server.start();
  await healed();
  expect(await send(world, who)).toBe("over");
});
