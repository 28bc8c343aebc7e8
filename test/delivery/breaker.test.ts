import { expect, test } from "vitest";
import { createBreaker } from "../../src/delivery/breaker.ts";

function playedBreaker() {
  const time = { ms: 0 };
  const changes: boolean[] = [];
  const breaker = createBreaker({
    failures: 3,
    firstPauseMs: 1000,
    longestPauseMs: 4000,
    now: () => time.ms,
    changed: (open) => changes.push(open),
  });
  return { breaker, time, changes };
}

test("it opens after failures in a row, not after as many with a success between them", () => {
  const { breaker } = playedBreaker();
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  breaker.failed();
  expect(breaker.isOpen()).toBe(false);
  breaker.failed();
  expect(breaker.isOpen()).toBe(true);
  expect(breaker.admit()).toBe(false);
});

test("after the pause exactly one probe is let through, until it has reported", () => {
  const { breaker, time } = playedBreaker();
  for (let i = 0; i < 3; i += 1) breaker.failed();
  time.ms = 999;
  expect(breaker.admit()).toBe(false);
  time.ms = 1000;
  expect([breaker.admit(), breaker.admit(), breaker.admit()]).toEqual([true, false, false]);
  breaker.succeeded();
  expect([breaker.admit(), breaker.admit()]).toEqual([true, true]);
});

test("pauses double up to the bound, and start anew after a success", () => {
  const { breaker, time, changes } = playedBreaker();
  for (let i = 0; i < 3; i += 1) breaker.failed();
  const pauses = [breaker.pauseMs()];
  for (let i = 0; i < 3; i += 1) {
    time.ms += breaker.pauseMs();
    expect(breaker.admit()).toBe(true);
    breaker.failed();
    pauses.push(breaker.pauseMs());
  }
  expect(pauses).toEqual([1000, 2000, 4000, 4000]);
  time.ms += 4000;
  breaker.admit();
  breaker.succeeded();
  for (let i = 0; i < 3; i += 1) breaker.failed();
  expect(breaker.pauseMs()).toBe(1000);
  expect(changes).toEqual([true, false, true]);
});

test("failures of connections that were begun before it opened do not lengthen the pause", () => {
  const { breaker, time } = playedBreaker();
  for (let i = 0; i < 20; i += 1) breaker.failed();
  expect(breaker.pauseMs()).toBe(1000);
  time.ms = 1000;
  expect(breaker.admit()).toBe(true);
});
