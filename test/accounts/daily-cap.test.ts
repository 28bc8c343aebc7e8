/** The cap of each day for new subaccounts: its ramp, who starts with it, what the door makes of it. */
import { describe, expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { createSubaccount } from "../../src/accounts/create-subaccount.ts";
import { dailyCapAt, rampFor } from "../../src/accounts/daily-cap.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import type { SubaccountDetails } from "../../src/accounts/subaccount-fields.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { knock, messageOf, openRows, thisMonth } from "../quota/door.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, pool, clock } = database;
const house = tenants(database);
const master = await house.master();
const daily = { ramp: [3, 5, 5], from_limit: 100 };
await changeMaster(db, master.principal, undefined, { newSubaccountDailyCap: daily }, {}, clock);

async function newcomer(monthlyLimit: number | null, details: SubaccountDetails = {}) {
  const input = { ...details, name: "New shop", monthlyLimit };
  const { subaccount } = await createSubaccount(db, master.principal, input, house.keyring, clock);
  const who = { masterId: subaccount.masterId, subaccountId: subaccount.id };
  await openRows(database, who, thisMonth(database));
  return { subaccount, who };
}

const send = async (who: Account, units: number) => (await knock(pool, [messageOf(who, units)])).verdicts[0];
const find = (id: SubaccountId) => findSubaccount(db, master.principal, id, clock);

/** It was made, and has sent, so many days earlier. */
async function age({ subaccountId }: Account, days: number): Promise<void> {
  await pool.query(
    "update subaccount set ramp_started_at = ramp_started_at - make_interval(days => $2) where id = $1",
    [subaccountId, days],
  );
  await pool.query("update rate_window set newest = newest - $2::bigint * 60 - 1 where id = $1 and span = 86400", [
    subaccountId,
    days,
  ]);
}

test("a new subaccount gets the cap of its first day, its second and so on, and is free afterwards", async () => {
  const { subaccount, who } = await newcomer(1000);
  expect(subaccount.dailyCap).toMatchObject({ units: 3, day: 1 });
  expect([await send(who, 3), await send(who, 1)]).toEqual(["accepted", "rate"]);
  await age(who, 1);
  expect((await find(who.subaccountId)).dailyCap).toMatchObject({ units: 5, day: 2 });
  expect([await send(who, 3), await send(who, 2), await send(who, 1)]).toEqual(["accepted", "accepted", "rate"]);
  await age(who, 2);
  expect((await find(who.subaccountId)).dailyCap).toBeNull();
  expect(await send(who, 500)).toBe("accepted");
});

test("control: without the ramp nothing holds it back", async () => {
  const { who } = await newcomer(1000, { dailyCapRamp: null });
  expect(await send(who, 1000)).toBe("accepted");
});

test("one below the limit from which it counts may send all of it at once; one without a limit is capped", async () => {
  const small = await newcomer(99);
  expect([small.subaccount.dailyCap, await send(small.who, 99)]).toEqual([null, "accepted"]);
  expect((await newcomer(null)).subaccount.dailyCap).toMatchObject({ units: 3 });
});

test("the lower of the day's limit and the day's cap holds", async () => {
  const low = await newcomer(1000, { rateLimits: { day: 2 } });
  expect([await send(low.who, 2), await send(low.who, 1)]).toEqual(["accepted", "rate"]);
  const high = await newcomer(1000, { rateLimits: { day: 900 } });
  expect([await send(high.who, 3), await send(high.who, 1)]).toEqual(["accepted", "rate"]);
});

test("for each it can be changed, which begins the ramp anew, or taken away, from the next message on", async () => {
  const { who } = await newcomer(1000);
  await age(who, 2);
  const change = (dailyCapRamp: number[] | null) =>
    changeSubaccount(db, master.principal, who.subaccountId, { dailyCapRamp }, {}, clock);
  expect((await change([7])).dailyCap).toMatchObject({ units: 7, day: 1 });
  expect([await send(who, 7), await send(who, 1)]).toEqual(["accepted", "rate"]);
  expect((await change(null)).dailyCap).toBeNull();
  expect(await send(who, 500)).toBe("accepted");
});

test("an invited one begins when it may send; other changes leave the ramp as it is", async () => {
  const { who } = await newcomer(1000, { ownerEmail: "owner@shop.example" });
  await pool.query("update subaccount set state = 'pending' where id = $1", [who.subaccountId]);
  await age(who, 30);
  await transitionSubaccount(db, master.principal, who.subaccountId, "enable", {}, clock);
  expect((await find(who.subaccountId)).dailyCap).toMatchObject({ units: 3, day: 1 });
  await age(who, 1);
  await changeSubaccount(db, master.principal, who.subaccountId, { name: "Other name" }, {}, clock);
  expect((await find(who.subaccountId)).dailyCap).toMatchObject({ units: 5, day: 2 });
});

test("the default is copied: a later one changes nobody's, and is merged member by member", async () => {
  const other = await house.master();
  const set = (newSubaccountDailyCap: object | null) =>
    changeMaster(db, other.principal, undefined, { newSubaccountDailyCap }, {}, clock);
  expect((await set({ ramp: [10] })).newSubaccountDailyCap).toEqual({ ramp: [10], from_limit: 5000 });
  const before = await house.subaccount(other, { monthlyLimit: 5000 });
  expect((await set({ from_limit: 1 })).newSubaccountDailyCap).toEqual({ ramp: [10], from_limit: 1 });
  await set({ ramp: [20, 30] });
  const after = await house.subaccount(other, { monthlyLimit: 1 });
  await set(null);
  const free = await house.subaccount(other, { monthlyLimit: 9000 });
  const ramps = [before, after, free].map(({ subaccount }) => subaccount.dailyCapRamp);
  expect(ramps).toEqual([[10], [20, 30], null]);
  await expect(set({ from_limit: 1 })).rejects.toThrow("It needs a ramp");
});

test("a master that has said nothing caps nobody", async () => {
  const { subaccount } = await house.subaccount(await house.master(), { monthlyLimit: 1_000_000 });
  expect([subaccount.dailyCapRamp, subaccount.dailyCap]).toEqual([null, null]);
});

describe("the ramp", () => {
  const startedAt = new Date("2026-11-22T09:30:00Z");
  const at = (hours: number) => new Date(startedAt.getTime() + hours * 3_600_000);
  test.each([
    [-1, { units: 1, day: 1, until: at(24) }],
    [0, { units: 1, day: 1, until: at(24) }],
    [23.99, { units: 1, day: 1, until: at(24) }],
    [24, { units: 2, day: 2, until: at(48) }],
    [48, null],
    [1e6, null],
  ])("after %d hours", (hours, cap) => {
    expect(dailyCapAt([1, 2], startedAt, at(hours))).toEqual(cap);
  });

  test.each([
    [null, [9]],
    [10, [9]],
    [9, null],
    [0, null],
  ])("of a limit of %s from 10 on", (limit, ramp) => {
    expect(rampFor(limit, { ramp: [9], from_limit: 10 })).toEqual(ramp);
  });
});
