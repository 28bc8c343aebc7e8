import { expect, test } from "vitest";
import type { AccountId, MasterId, SubaccountId } from "../../src/platform/ids.ts";
import type { Charge, Standing } from "../../src/quota/gate.ts";
import { createMemory } from "../../src/quota/memory.ts";

const period = { start: new Date("2026-11-01T00:00:00Z"), end: new Date("2026-12-01T00:00:00Z") };
const masterId = "m" as MasterId;
const subaccountId = "s" as SubaccountId;
const charge = (units: number, told: Partial<Charge> = {}): Charge => ({
  masterId,
  subaccountId,
  period,
  units,
  ...told,
});
const standing = (accountId: AccountId, used: number, cap: number | null, told: Partial<Standing> = {}): Standing => ({
  accountId,
  masterId,
  periodStart: period.start,
  periodEnd: period.end,
  used,
  cap,
  version: 1,
  ...told,
});

function memoryAt(startMs = 0) {
  const clock = { ms: startMs };
  return { clock, memory: createMemory(() => clock.ms) };
}

test("a refusal is remembered for a second, for what it said of this period and no other", () => {
  const { clock, memory } = memoryAt();
  memory.learn([standing(subaccountId, 98, 100), standing(masterId, 98, null)]);
  const over = { kind: "over", account: "subaccount", used: 98, cap: 100, resetsAt: period.end };
  expect(memory.refusal(charge(3))).toEqual(over);
  expect(memory.refusal(charge(2))).toBeUndefined();
  expect(memory.refusal(charge(3, { period: { start: period.end, end: new Date("2027-01-01") } }))).toBeUndefined();
  clock.ms = 999;
  expect(memory.refusal(charge(3))).toEqual(over);
  clock.ms = 1000;
  expect(memory.refusal(charge(3))).toBeUndefined();
});

test("what is known of the master refuses all its subaccounts", () => {
  const { memory } = memoryAt();
  memory.learn([standing(masterId, 10, 10)]);
  expect(memory.refusal(charge(1, { subaccountId: "another" as SubaccountId }))).toMatchObject({ account: "master" });
});

test("closed comes before full", () => {
  const { memory } = memoryAt();
  memory.learn([standing(subaccountId, 10, 10), standing(masterId, 0, null, { open: false })]);
  expect(memory.refusal(charge(1))).toEqual({ kind: "closed" });
});

test("news that was read before a change does not undo the change", () => {
  const { clock, memory } = memoryAt();
  memory.learn([standing(subaccountId, 10, 20, { version: 6 })]);
  memory.learn([standing(subaccountId, 10, 10, { version: 5 })]);
  expect(memory.refusal(charge(1))).toBeUndefined();
  clock.ms = 2000; // what is out of date holds nothing up: the database may have been restored
  memory.learn([standing(subaccountId, 10, 10, { version: 5 })]);
  expect(memory.refusal(charge(1))).toMatchObject({ kind: "over" });
});

test("room is taken only as far as it surely is there, and only while it is known of both", () => {
  const { clock, memory } = memoryAt();
  memory.learn([standing(subaccountId, 0, 10)]);
  expect(memory.take(charge(1))).toBe(false);
  memory.learn([standing(masterId, 95, 100)]);
  expect([memory.take(charge(3)), memory.take(charge(3)), memory.take(charge(2))]).toEqual([true, false, true]);
  memory.giveBack(charge(2));
  expect([memory.take(charge(0)), memory.take(charge(2)), memory.take(charge(0))]).toEqual([true, true, false]);
  memory.learn([standing(masterId, 5, null, { version: 2 })]);
  clock.ms = 1000;
  expect(memory.take(charge(1))).toBe(false);
});

test("an account that may not send has no room to take", () => {
  const { memory } = memoryAt();
  memory.learn([standing(subaccountId, 0, 10, { open: false }), standing(masterId, 0, null)]);
  expect(memory.refusal(charge(1))).toEqual({ kind: "closed" });
  expect(memory.take(charge(1))).toBe(false);
});

test("it is bounded: the oldest accounts are forgotten first", () => {
  const { memory } = memoryAt();
  const full = (n: number) => standing(`s${n}` as SubaccountId, 1, 1);
  for (let n = 0; n <= 10_000; n++) memory.learn([full(n)]);
  expect(memory.refusal(charge(1, { subaccountId: "s0" as SubaccountId }))).toBeUndefined();
  expect(memory.refusal(charge(1, { subaccountId: "s1" as SubaccountId }))).toBeDefined();
});

test("it forgets one account or all", () => {
  const { memory } = memoryAt();
  memory.learn([standing(subaccountId, 1, 1), standing(masterId, 1, 1)]);
  memory.forget(subaccountId);
  expect(memory.refusal(charge(1))).toMatchObject({ account: "master" });
  memory.forget();
  expect(memory.refusal(charge(1))).toBeUndefined();
});

test("an account that was far from full is not asked about for a moment, and is forgotten when it changes", () => {
  let nowMs = 0;
  const memory = createMemory(() => nowMs);
  const charge = {
    masterId: "m",
    subaccountId: "s",
    period: { start: new Date(0), end: new Date(1) },
    units: 0,
  } as unknown as Charge;
  expect(memory.hasPlenty(charge)).toBe(false);
  memory.sawPlenty(charge);
  expect(memory.hasPlenty(charge)).toBe(true);
  nowMs = 251;
  expect(memory.hasPlenty(charge)).toBe(false);
  memory.sawPlenty(charge);
  memory.forget(charge.subaccountId);
  expect(memory.hasPlenty(charge)).toBe(false);
});
