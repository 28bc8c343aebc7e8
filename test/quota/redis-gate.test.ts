import { describe, expect, test, vi } from "vitest";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createBreaker } from "../../src/quota/breaker.ts";
import { createCounters, type Scripts, script, scripts } from "../../src/quota/counters.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import type { Gate, Standing } from "../../src/quota/gate.ts";
import { createMemory } from "../../src/quota/memory.ts";
import { createPostgresGate } from "../../src/quota/postgres-gate.ts";
import { createRates } from "../../src/quota/rates.ts";
import { createRedisGate } from "../../src/quota/redis-gate.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { disagreements, knock, messageOf, openRows, thisMonth } from "./door.ts";
import { account, chargeOf, family, send, standings } from "./gate-contract.ts";

const { redis } = await testRedis();
const database = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
const { pool } = database;
const metrics = createMetrics();
const counters = createCounters(redis, 0);
const world = { database, gate: createGate({ database, metrics, log: silentLog, clock: database.clock, redis }) };
const { gate } = world;

/** The gate as it is, over other scripts. */
function gateOver(changed: Partial<Scripts>): Gate {
  const memory = createMemory();
  const breaker = createBreaker({ probe: async () => {}, onOpen: () => {}, onClose: () => {} });
  const rates = createRates({ pool, log: silentLog });
  const without = createPostgresGate({ pool, memory, rates, log: silentLog });
  const mutant = createCounters(redis, 0, { ...scripts, ...changed });
  return createRedisGate({ counters: mutant, breaker, without, rates, pool, memory, metrics, log: silentLog });
}

/** A script, changed by a text that must be there. */
function mutant(name: keyof Scripts, from: string, to: string): Partial<Scripts> {
  const { text } = scripts[name];
  if (!text.includes(from)) throw new Error(`${name}.lua has no ${from}`);
  return { [name]: script(text.replace(from, to)) };
}

const keyOf = ({ masterId }: Account) => `pm:{${masterId}}:${thisMonth(database).start.getTime()}`;
const usedOf = async (who: Account) => {
  const found = await counters.read(who.masterId, thisMonth(database).start);
  return [found.get(who.subaccountId)?.used, found.get(who.masterId)?.used];
};
const reserve = async (who: Account, units = 1, at: Gate = gate) =>
  (await at.reserve(chargeOf(world, who, units))).kind;

async function ready(limit: number | null, allowance: number | null = null): Promise<Account> {
  const who = await account(world, { monthlyLimit: limit }, { allowance });
  await reserve(who, 0);
  return who;
}

describe("counting", () => {
  test("a message that fits costs one command, on one key of one slot", async () => {
    const who = await ready(100);
    const calls = async () => {
      const text = (await redis.info("commandstats"))
        .split("\r\n")
        .filter((line) => /evalsha|cmdstat_eval:/.test(line));
      return text.reduce((sum, line) => sum + Number(/calls=([0-9]+)/.exec(line)?.[1]), 0);
    };
    const before = await calls();
    for (let i = 0; i < 10; i++) await reserve(who);
    expect((await calls()) - before).toBe(10);
    expect(await redis.keys(`*${who.masterId}*`)).toEqual([keyOf(who)]);
    expect(await usedOf(who)).toEqual([10, 10]);
  });

  test("messages of one master that come at once cost one command for each hundred, and each is decided by itself", async () => {
    const who = await ready(2);
    const rich = await ready(null);
    const sent = vi.spyOn(redis, "evalsha");
    const answers = await Promise.all([
      ...[1, 5, 1, 1].map((units) => counters.reserve(chargeOf(world, who, units))),
      ...Array.from({ length: 101 }, () => counters.reserve(chargeOf(world, rich, 1))),
    ]);
    expect(sent).toHaveBeenCalledTimes(3);
    sent.mockRestore();
    expect(answers.slice(0, 4).map((answer) => (typeof answer === "object" ? "full" : answer))).toEqual([
      "counted",
      "full",
      "counted",
      "full",
    ]);
    expect(await usedOf(who)).toEqual([2, 2]);
    expect(await usedOf(rich)).toEqual([101, 101]);
  });

  test("both counters rise together or neither does", async () => {
    const who = await ready(100, 3);
    const sessions = Array.from({ length: 10 }, () => counters.reserve(chargeOf(world, who, 1)));
    const answers = await Promise.all(sessions);
    expect(answers.filter((answer) => answer === "counted")).toHaveLength(3);
    expect(await usedOf(who)).toEqual([3, 3]);
  });

  test.each([
    ["the subaccount's limit", "subUsed + needed > subCap or ", "", 3, null],
    ["the master's cap", " or masterUsed + needed > masterCap", "", 100, 3],
  ] as const)("control: a script that forgets %s counts too much", async (_, from, to, limit, allowance) => {
    const who = await ready(limit, allowance);
    const careless = createCounters(redis, 0, { ...scripts, ...mutant("reserve", from, to) });
    for (let i = 0; i < 4; i++) await careless.reserve(chargeOf(world, who, 1));
    expect(await usedOf(who)).toEqual([4, 4]);
  });

  test("counters go when the period is an hour past", async () => {
    const who = await ready(100);
    expect(await redis.pexpiretime(keyOf(who))).toBe(thisMonth(database).end.getTime() + 3_600_000);
  });

  test("a program whose clock runs ahead keeps its counters as long by Redis's clock", async () => {
    const who = await ready(100);
    await createCounters(redis, 86_400_000).publish([
      { standing: (await standings(database, who))[0] as Standing, seen: "0/1" },
    ]);
    expect(await redis.pexpiretime(keyOf(who))).toBe(thisMonth(database).end.getTime() + 3_600_000 - 86_400_000);
  });

  test("what is given back is free again; what was never counted is not given back", async () => {
    const who = await ready(100);
    const charge = chargeOf(world, who, 5);
    await gate.reserve(charge);
    await gate.release(charge);
    expect(await usedOf(who)).toEqual([0, 0]);
    await counters.release(chargeOf(world, who, 7));
    expect(await usedOf(who)).toEqual([0, 0]);
    await redis.del(keyOf(who));
    await counters.release(chargeOf(world, who, 7));
    expect(await redis.exists(keyOf(who))).toBe(0);
  });
});

describe("publishing", () => {
  const at = async (who: Account, told: Partial<Standing>): Promise<Standing> => ({
    ...((await standings(database, who)).find(({ accountId }) => accountId === who.subaccountId) as Standing),
    ...told,
  });
  const counter = async (who: Account) => {
    const found = (await counters.read(who.masterId, thisMonth(database).start)).get(who.subaccountId);
    return [found?.used, found?.cap, found?.version];
  };

  test("a newer row replaces an older one, and never the other way round", async () => {
    const who = await ready(100);
    await gate.publish([await at(who, { version: 7, used: 50, cap: 80 })]);
    await gate.publish([await at(who, { version: 6, used: 90, cap: 100 })]);
    expect(await counter(who)).toEqual([50, 80, 7]);
    await gate.publish([await at(who, { version: 8, used: 10, cap: null })]);
    expect(await counter(who)).toEqual([10, null, 8]);
  });

  test("control: a script without that guard goes back in time", async () => {
    const who = await ready(100);
    const careless = gateOver(mutant("publish", "or newVersion > oldVersion", "or true"));
    await careless.publish([await at(who, { version: 7, used: 50, cap: 80 })]);
    await careless.publish([await at(who, { version: 6, used: 90, cap: 100 })]);
    expect(await counter(who)).toEqual([90, 100, 6]);
  });

  test("the same row again does not wipe out what was counted since, but raises a counter that is too low", async () => {
    const who = await ready(100);
    await gate.publish([await at(who, { version: 7, used: 50 })]);
    await reserve(who, 10);
    await gate.publish([await at(who, { version: 7, used: 50 })]);
    expect(await counter(who)).toEqual([60, 100, 7]);
    await counters.release(chargeOf(world, who, 30));
    await gate.publish([await at(who, { version: 7, used: 50 })]);
    expect(await counter(who)).toEqual([50, 100, 7]);
  });

  test("sessions that fill a cold counter together lose no count", async () => {
    const who = await account(world, { monthlyLimit: 100 });
    await openRows(database, who, thisMonth(database));
    await Promise.all(Array.from({ length: 30 }, () => reserve(who)));
    expect(await usedOf(who)).toEqual([30, 30]);
  });

  test("an account that may not send has no room, whatever its limit", async () => {
    const who = await ready(100);
    await gate.publish([await at(who, { version: 7, open: false })]);
    expect(await counters.reserve(chargeOf(world, who, 1))).not.toBe("counted");
  });
});

/** What may befall Redis between two messages. */
const accidents: readonly [string, (who: Account) => Promise<unknown>][] = [
  ["everything is flushed", () => redis.flushall()],
  ["the hash was evicted", (who) => redis.del(keyOf(who))],
  ["a field of the subaccount is gone", (who) => redis.hdel(keyOf(who), `u${who.subaccountId}`)],
  ["a field of the master is gone", (who) => redis.hdel(keyOf(who), `c${who.masterId}`)],
  ["a version is gone", (who) => redis.hdel(keyOf(who), `v${who.masterId}`, `v${who.subaccountId}`)],
  ["a field is no number", (who) => redis.hset(keyOf(who), `u${who.subaccountId}`, "many", `c${who.masterId}`, "")],
  ["a counter is below zero", (who) => redis.hset(keyOf(who), `u${who.subaccountId}`, "-5")],
  ["a counter is infinite", (who) => redis.hset(keyOf(who), `u${who.subaccountId}`, "inf", `u${who.masterId}`, "nan")],
  ["the key is a list", async (who) => [await redis.del(keyOf(who)), await redis.rpush(keyOf(who), "what")]],
  ["the key is a string", (who) => redis.set(keyOf(who), "what")],
  [
    "the counters are an old image's",
    (who) =>
      redis.hset(keyOf(who), { [`u${who.subaccountId}`]: 1, [`v${who.subaccountId}`]: 1, [`u${who.masterId}`]: 1 }),
  ],
  [
    "the counters are another database's, newer",
    (who) =>
      redis.hset(keyOf(who), {
        [`u${who.subaccountId}`]: 9,
        [`c${who.subaccountId}`]: 9,
        [`v${who.subaccountId}`]: 99999,
      }),
  ],
  [
    "the counters are far too high",
    (who) => redis.hset(keyOf(who), { [`u${who.subaccountId}`]: 9999, [`u${who.masterId}`]: 9999 }),
  ],
  ["the scripts are flushed", () => redis.script("FLUSH")],
];

describe.each(accidents)("when %s", (_, accident) => {
  test("gate and door give the right answers, and the counters heal", async () => {
    const who = await account(world, { monthlyLimit: 10 }, { allowance: 15 });
    const sibling = { ...who, subaccountId: (await family(world, 1, {}))[0]?.subaccountId as Account["subaccountId"] };
    await pool.query("update subaccount set master_id = $1 where id = $2", [who.masterId, sibling.subaccountId]);
    for (let i = 0; i < 6; i++) await send(world, who);
    await accident(who);
    const told: string[] = [];
    for (const units of [5, 3, 2, 1, 1]) told.push(await send(world, who, units));
    expect(told).toEqual(["over", "reserved", "over", "reserved", "over"]);
    expect([await send(world, sibling, 6), await send(world, sibling, 5)]).toEqual(["over", "reserved"]);
    expect(await disagreements(database)).toEqual([]);
    for (let i = 0; i < 3; i++) expect([await send(world, who), await send(world, sibling)]).toEqual(["over", "over"]);
    expect(await usedOf(who)).toEqual([10, 15]);
  });
});

test("control: a gate that takes a missing counter for zero lets through what the limit forbids, and only the door stops it", async () => {
  const who = await account(world, { monthlyLimit: 5 });
  for (let i = 0; i < 5; i++) await send(world, who);
  await redis.hdel(keyOf(who), `u${who.subaccountId}`);
  const careless = gateOver(
    mutant("reserve", "tonumber(fields[1]), tonumber(fields[3])", "tonumber(fields[1]) or 0, tonumber(fields[3])"),
  );
  expect(await reserve(who, 1, careless)).toBe("reserved");
  expect((await knock(pool, [messageOf(who)])).verdicts).toEqual(["subaccount"]);
});

test("a lost release leaves the counter too high: no message that fits is refused for it, and the counter heals", async () => {
  const who = await ready(10);
  await gate.reserve(chargeOf(world, who, 10)); // the process dies before it could store or release
  for (let i = 0; i < 10; i++) expect(await send(world, who)).toBe("reserved");
  expect(await send(world, who)).toBe("over");
  expect(await usedOf(who)).toEqual([10, 10]);
});

test("a refusal at the door heals a counter that is too low, so that the next is refused at the gate", async () => {
  const who = await ready(5);
  for (let i = 0; i < 5; i++) await send(world, who);
  const version = Number(await redis.hget(keyOf(who), `v${who.subaccountId}`));
  await redis.hset(keyOf(who), { [`u${who.subaccountId}`]: 2, [`u${who.masterId}`]: 2 });
  expect(await send(world, who, 2)).toBe("over");
  expect(await counters.reserve(chargeOf(world, who, 1))).not.toBe("counted");
  expect(version).toBeGreaterThan(0);
});

test("control: a script that takes only newer rows leaves it too low, and the next goes to the door again", async () => {
  const who = await ready(5);
  for (let i = 0; i < 5; i++) await send(world, who);
  await gate.publish(await standings(database, who));
  await redis.hset(keyOf(who), { [`u${who.subaccountId}`]: 2, [`u${who.masterId}`]: 2 });
  const careless = gateOver(mutant("publish", "or (newVersion == oldVersion and tonumber(used) > oldUsed)", ""));
  await careless.publish(await standings(database, who));
  expect(await usedOf(who)).toEqual([2, 2]);
  await gate.publish(await standings(database, who));
  expect(await usedOf(who)).toEqual([5, 5]);
});
