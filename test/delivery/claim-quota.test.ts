import { expect, test } from "vitest";
import { createClaimQuota } from "../../src/delivery/claim-quota.ts";

test("half of the room is asked for, and nothing for scraps", () => {
  const quota = createClaimQuota(64, () => 0);
  expect([quota.room(), quota.worthwhile]).toEqual([32, 8]);
  quota.took(20);
  expect(quota.room()).toBe(12);
  quota.took(10);
  expect(quota.room()).toBeLessThan(quota.worthwhile);
});

test("when the half stays full, the other half is asked for, for messages to peers that hold little", () => {
  const time = { ms: 0 };
  const quota = createClaimQuota(64, () => time.ms);
  quota.took(32);
  expect(quota.room()).toBe(0);
  time.ms = 1_999;
  expect(quota.room()).toBe(0);
  time.ms = 2_000;
  expect(quota.room()).toBe(32);
  expect([quota.isCrowded(3), quota.isCrowded(4)]).toEqual([false, true]);
  quota.took(-30);
  expect([quota.room(), quota.isCrowded(30)]).toEqual([30, false]);
});

test("while messages come and go quickly no peer is ever crowded out", () => {
  const time = { ms: 0 };
  const quota = createClaimQuota(64, () => time.ms);
  for (let round = 0; round < 1000; round += 1) {
    const room = quota.room();
    expect(room).toBeLessThanOrEqual(32);
    quota.took(room);
    time.ms += 100;
    quota.took(-room);
    expect(quota.isCrowded(64)).toBe(false);
  }
});
