import { expect, test } from "vitest";
import { periodAt } from "../../src/metering/period.ts";
import { formatId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { utcMonths } from "../support/submission.ts";
import { house } from "./house.ts";

async function withRedis() {
  const { url, redis, server } = await testRedis();
  const opened = await house({ POSTMETER_REDIS_URL: url });
  const { database } = opened;
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId);
  const { clock } = database;
  const gate = createGate({ redis, database, metrics: createMetrics(), log: silentLog, clock });
  const period = periodAt(utcMonths, clock.now());
  const charge = { masterId, subaccountId, period, units: 10 };
  await acceptUnits(database, { masterId, subaccountId }, 10);
  await gate.reserve({ ...charge, units: 0 }); // fills the counters
  const counter = async () => (await gate.counters?.read(masterId, period.start))?.get(subaccountId);
  return { ...opened, server, gate, charge, counter, sub: formatId("sub", subaccountId) };
}

test("Redis knows a limit that a command has changed before the command ends", async () => {
  const { json, sub, counter } = await withRedis();
  expect(await counter()).toMatchObject({ cap: 100 });
  await json("quota", "set", sub, "50");
  expect(await counter()).toMatchObject({ cap: 50 });
  await json("quota", "top-up", sub, "7");
  expect(await counter()).toMatchObject({ cap: 57 });
});

test("reconcile names the counter that was wrong and sets it right", async () => {
  const { json, run, sub, gate, charge, counter } = await withRedis();
  await gate.reserve(charge); // never stored, never released
  expect(await counter()).toMatchObject({ used: 20 });
  const { data } = await json("quota", "reconcile");
  expect(data).toContainEqual(expect.objectContaining({ account: sub, redis_used: 20, used: 10 }));
  expect(await counter()).toMatchObject({ used: 10 });
  expect((await run("quota", "reconcile")).out).toBe("Redis and the usage rows agree.\n");
});

test("without Redis, when one is configured, a change still holds, and the doctor and reconcile say so", async () => {
  const { json, run, sub, server } = await withRedis();
  await server.stop();
  expect(await json("quota", "set", sub, "50")).toMatchObject({ monthly_limit: 50 });
  expect(await run("quota", "reconcile")).toMatchObject({
    code: 1,
    err: expect.stringContaining("Redis can't be reached"),
  });
  expect((await run("doctor", "--for", "dev")).out).toMatch(/fail {2}Redis +it can't be reached/);
  await server.start();
  expect((await run("doctor", "--for", "dev")).out).toMatch(/ok {4}Redis +\d+\.\d+\.\d+, noeviction/);
});

test("the doctor refuses a Redis that may drop counters", async () => {
  const { url } = await testRedis(["--maxmemory-policy", "allkeys-lru"]);
  const { run } = await house({ POSTMETER_REDIS_URL: url });
  expect((await run("doctor", "--for", "dev")).out).toMatch(
    /fail {2}Redis +Redis may drop quota counters: maxmemory-policy is allkeys-lru/,
  );
});
