import { expect, test } from "vitest";
import { createBreaker } from "../../src/quota/breaker.ts";

function played() {
  const told: string[] = [];
  const probes: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const started = { next: Promise.withResolvers<void>() };
  const breaker = createBreaker({
    probe: () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      probes.push({ resolve, reject });
      started.next.resolve();
      return promise;
    },
    onOpen: (error) => told.push(`open ${(error as Error).message}`),
    onClose: () => told.push("close"),
    probeEveryMs: 1,
  });
  /** The next probe that has begun. */
  const probe = async () => {
    await started.next.promise;
    started.next = Promise.withResolvers();
    return probes.at(-1) as (typeof probes)[number];
  };
  return { breaker, told, probes, probe };
}

test("the first failure opens it, the next ones change nothing, and it closes when a probe succeeds", async () => {
  const { breaker, told, probes, probe } = played();
  expect(breaker.open).toBe(false);
  breaker.failed(new Error("away"));
  breaker.failed(new Error("still away"));
  expect([breaker.open, told]).toEqual([true, ["open away"]]);
  (await probe()).reject(new Error("not yet"));
  const second = await probe();
  expect(probes).toHaveLength(2);
  expect(breaker.open).toBe(true);
  second.resolve();
  await Promise.resolve();
  await Promise.resolve();
  expect([breaker.open, told]).toEqual([false, ["open away", "close"]]);
  breaker.failed(new Error("again"));
  (await probe()).resolve();
  expect(told).toContain("open again");
});

test("when it is disposed of it probes no more", async () => {
  const { breaker, told, probes, probe } = played();
  breaker.failed(new Error("away"));
  const under = await probe();
  breaker[Symbol.dispose]();
  under.resolve();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([probes.length, told]).toEqual([1, ["open away"]]);
});
