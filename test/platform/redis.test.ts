import { once } from "node:events";
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

test("a command that gets no answer fails and is not repeated after a reconnect", async () => {
  await using one = await testRedis();
  one.server.pause();
  const answer = one.redis.incr("n");
  await expect(answer).rejects.toThrow();
  const closed = once(one.redis, "close");
  one.redis.disconnect(true);
  await closed;
  one.server.resume();
  expect(await redisReady(one.redis, 5000)).toBe(true);
  expect(Number(await one.redis.get("n"))).toBeLessThanOrEqual(1);
});

test("a program starts while Redis is away", async () => {
  const redis = openRedis(`redis://127.0.0.1:${await freePort()}`, silentLog);
  await checkRedis(redis);
  expect(await redisReady(redis, 50)).toBe(false);
  redis.disconnect();
});
