import { expect, test } from "vitest";
import { type LeaseOptions, startLeases } from "../../src/delivery/lease.ts";
import type { Held } from "../../src/delivery/parcel.ts";
import type { MessageId } from "../../src/platform/ids.ts";
import { silentLog } from "../support/log.ts";
import { makeTask } from "./played-spool.ts";

function hold(leasedForMs = 60_000): Held {
  const task = makeTask();
  const leasedUntilMs = performance.now() + leasedForMs;
  return {
    task,
    fresh: true,
    route: "",
    leasedUntilMs,
    state: "waiting",
    begunAtMs: 0,
    open: 1,
    findings: [],
    delayMs: 0,
  };
}

function open(renew: LeaseOptions["renew"]) {
  const lost: Held[] = [];
  const leases = startLeases({ renew, leaseMs: 60_000, lost: (held) => lost.push(held), log: silentLog });
  return { leases, lost };
}

const idsOf = (tasks: readonly { id: MessageId }[]) => new Set(tasks.map(({ id }) => id));

test("all that is held is renewed by one call, and counts from before it", async () => {
  const calls: number[] = [];
  const { leases } = open(async (tasks) => {
    calls.push(tasks.length);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return idsOf(tasks);
  });
  const all = [hold(1_000), hold(1_000), hold(1_000)];
  for (const held of all) leases.add(held);
  const before = performance.now();
  await leases.renewNow();
  expect(calls).toEqual([3]);
  for (const { leasedUntilMs } of all) {
    expect(leasedUntilMs).toBeGreaterThanOrEqual(before + 60_000);
    expect(leasedUntilMs).toBeLessThan(performance.now() + 60_000 - 15);
  }
});

test("what a renewal finds in other hands is dropped if it has not begun, and never begun after", async () => {
  const { leases, lost } = open(async () => new Set());
  const [waiting, begun] = [hold(), hold()];
  leases.add(waiting);
  leases.add(begun);
  expect(leases.begin(begun)).toBe(true);
  await leases.renewNow();
  expect(lost).toEqual([waiting]);
  expect([leases.begin(waiting), leases.begin(begun), leases.size()]).toEqual([false, true, 1]);
});

test("a renewal that fails extends nothing and drops nothing by itself", async () => {
  const { leases, lost } = open(async () => {
    throw new Error("away");
  });
  const [long, short] = [hold(30_000), hold(100)];
  const { leasedUntilMs } = long;
  leases.add(long);
  leases.add(short);
  await leases.renewNow();
  expect(lost).toEqual([]);
  expect(long.leasedUntilMs).toBe(leasedUntilMs);
  expect([leases.begin(long), leases.begin(short)]).toEqual([true, false]);
  expect(lost).toEqual([short]);
});

test("a message that is shortly before the end of its lease is not begun any more", () => {
  const { leases, lost } = open(async () => new Set());
  const held = hold(1_500);
  leases.add(held);
  expect(leases.begin(held)).toBe(false);
  expect(lost).toEqual([held]);
});

test("what ended in the meantime is not dropped by a renewal that comes late, nor is its successor", async () => {
  let answer = () => {};
  const { leases, lost } = open(
    (tasks) =>
      new Promise((resolve) => {
        answer = () => resolve(new Set());
        void tasks;
      }),
  );
  const held = hold();
  leases.add(held);
  const renewed = leases.renewNow();
  leases.end(held);
  const again: Held = { ...held, task: { ...held.task, attempt: 2 } };
  leases.add(again);
  answer();
  await renewed;
  expect(lost).toEqual([]);
  expect(leases.begin(again)).toBe(true);
});
