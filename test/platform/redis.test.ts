import { once } from "node:events";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { checkRedis, openRedis, redisReady } from "../../src/platform/redis.ts";
import { silentLog } from "../support/log.ts";
import { freePort, testRedis } from "../support/redis.ts";

test("a Redis that may evict keys is refused, one that keeps them passes", async () => {
  await using keeps = await testRedis();
  await checkRedis(keeps.redis);
  await keeps.redis.config("SET", "maxmemory-policy", "allkeys-lru");
  await expect(checkRedis(keeps.redis)).rejects.toThrow("maxmemory-policy is allkeys-lru");
});

test("without a connection a command fails at once, and nothing of it is sent later", async () => {
  await using one = await testRedis();
  await one.server.stop("SIGKILL");
  await expect(one.redis.incr("n")).rejects.toThrow();
  await one.server.start();
  expect(await redisReady(one.redis, 5000)).toBe(true);
  expect(await one.redis.get("n")).toBeNull();
});

test("a command without an answer is not repeated after a reconnect, as the library would by default", async () => {
  await using one = await testRedis();
  const eager = new Redis(one.url, { retryStrategy: () => 50 });
  await once(eager, "ready");
  const clients = { ours: one.redis, eager };
  one.server.pause();
  for (const [name, redis] of Object.entries(clients)) redis.incr(name).catch(() => {});
  const closed = Object.values(clients).map((redis) => once(redis, "close"));
  for (const redis of Object.values(clients)) redis.disconnect(true);
  await Promise.all(closed);
  one.server.resume();
  await expect.poll(() => eager.get("eager"), { timeout: 10_000 }).toBe("2");
  expect(Number(await eager.get("ours"))).toBeLessThanOrEqual(1);
  eager.disconnect();
});

test("a command that gets no answer fails within about a second", async () => {
  await using one = await testRedis();
  one.server.pause();
  await expect(one.redis.incr("n")).rejects.toThrow("timed out");
});

test("a program starts while Redis is away", async () => {
  const redis = openRedis(`redis://127.0.0.1:${await freePort()}`, silentLog);
  await checkRedis(redis);
  expect(await redisReady(redis, 50)).toBe(false);
  redis.disconnect();
});
