import fc from "fast-check";
import { expect, test } from "vitest";
import { nextAttemptAt } from "../../src/delivery/backoff.ts";

const scheduleMs = [5, 15, 30, 60, 120, 240].map((minutes) => minutes * 60_000);
const now = new Date("2026-11-22T12:00:00Z");
const expiresAt = new Date("2026-11-27T12:00:00Z");
const minutesLater = (at: Date | null) => ((at as Date).getTime() - now.getTime()) / 60_000;

test("the waits follow the schedule, and the last one repeats", () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 50].map((attempt) =>
    minutesLater(nextAttemptAt({ attempt, scheduleMs, now, expiresAt, jitter: 0 })),
  );
  expect(waits).toEqual([5, 15, 30, 60, 120, 240, 240, 240]);
});

test("the last attempt is made as the message expires, and none after it", () => {
  const soon = new Date(now.getTime() + 1000);
  expect(nextAttemptAt({ attempt: 1, scheduleMs, now, expiresAt: soon, jitter: 0.5 })).toEqual(soon);
  expect(nextAttemptAt({ attempt: 1, scheduleMs, now, expiresAt: now, jitter: 0.5 })).toBeNull();
});

const tries = fc.record({
  attempt: fc.integer({ min: 1, max: 1000 }),
  scheduleMs: fc.array(fc.integer({ min: 1, max: 14_400_000 }), { minLength: 1, maxLength: 10 }),
  now: fc.integer({ min: 0, max: 10 ** 12 }).map((ms) => new Date(ms)),
  expiresAt: fc.integer({ min: 0, max: 10 ** 12 }).map((ms) => new Date(ms)),
  jitter: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

test("an attempt is never before now, never past the expiry, never more than a tenth late", () => {
  fc.assert(
    fc.property(tries, (given) => {
      const at = nextAttemptAt(given);
      if (given.now >= given.expiresAt) return at === null;
      const wait = given.scheduleMs[Math.min(given.attempt, given.scheduleMs.length) - 1] as number;
      const ms = (at as Date).getTime() - given.now.getTime();
      const left = given.expiresAt.getTime() - given.now.getTime();
      return ms > 0 && ms <= left && ms >= Math.min(wait, left) && ms <= Math.ceil(wait * 1.1);
    }),
  );
});

test("more jitter never comes earlier", () => {
  fc.assert(
    fc.property(tries, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, other) => {
      fc.pre(given.now < given.expiresAt);
      const [low, high] = [given.jitter, other].sort((a, b) => a - b) as [number, number];
      const at = (jitter: number) => (nextAttemptAt({ ...given, jitter }) as Date).getTime();
      return at(low) <= at(high);
    }),
  );
});
