/** What a limit may be under its master. */

import { sql } from "kysely";
import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount, type SubaccountPatch } from "../../src/accounts/change-subaccount.ts";
import { findMaster } from "../../src/accounts/find.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { periodAt } from "../../src/metering/period.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { operator, type TestMaster, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const make = tenants({ db, clock });

const change = (of: TestMaster, id: SubaccountId, patch: SubaccountPatch) =>
  changeSubaccount(db, of.principal, id, patch, {}, clock);
const strict = (of: TestMaster, on = true) =>
  changeMaster(db, of.principal, undefined, { strictAllocation: on }, {}, clock);

/** As acceptance would: a usage row of the running period. */
async function use(id: SubaccountId, used: number): Promise<void> {
  const { masterId, start, end } = await period(id);
  const row = {
    account_id: id,
    master_id: masterId,
    period_start: start,
    period_end: end,
    used,
    open: true,
    thresholds: [80],
  };
  await db
    .insertInto("usage")
    .values({ ...row, cap: null, base: null, open_until: null })
    .execute();
}

async function period(id: SubaccountId) {
  const { master_id: masterId } = await db
    .selectFrom("subaccount")
    .select("master_id")
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  return { masterId, ...periodAt({ anchorDay: 1, timeZone: "UTC" }, clock.now()) };
}

test("a limit above the allowance is invalid where overage is blocked, and only there", async () => {
  const blocked = await make.master({ allowance: 1000 });
  const billed = await make.master({ allowance: 1000, overage: "bill" });
  const wrong = { kind: "invalid", details: [{ pointer: "/monthly_limit" }] };
  await expect(make.subaccount(blocked, { monthlyLimit: 1001 })).rejects.toMatchObject(wrong);
  const { subaccount } = await make.subaccount(blocked, { monthlyLimit: 1000 });
  await expect(change(blocked, subaccount.id, { monthlyLimit: 1001 })).rejects.toMatchObject(wrong);
  expect((await make.subaccount(billed, { monthlyLimit: 1001 })).subaccount.monthlyLimit).toBe(1001);
});

test("limits may sum to more than the allowance", async () => {
  const acme = await make.master({ allowance: 1000 });
  await make.subaccount(acme, { monthlyLimit: 800 });
  expect((await make.subaccount(acme, { monthlyLimit: 800 })).subaccount.monthlyLimit).toBe(800);
});

test("the operator may lower an allowance below the limits", async () => {
  const acme = await make.master({ allowance: 1000 });
  const { subaccount } = await make.subaccount(acme, { monthlyLimit: 800 });
  const { allowance } = await changeMaster(db, operator, acme.master.id, { allowance: 500 }, {}, clock);
  expect(allowance).toBe(500);
  expect(await change(acme, subaccount.id, { name: "Renamed" })).toMatchObject({ name: "Renamed", monthlyLimit: 800 });
});

test("a master's own subaccount gets no limit", async () => {
  const acme = await make.master({ allowance: 1000 });
  const set = change(acme, acme.master.ownSubaccountId, { monthlyLimit: 10 });
  await expect(set).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/monthly_limit" }] });
});

test("strict allocation: limits never sum to more than the allowance", async () => {
  const acme = await make.master({ allowance: 1000 });
  const a = await make.subaccount(acme, { monthlyLimit: 600 });
  await strict(acme);
  await expect(make.subaccount(acme, { monthlyLimit: 401 })).rejects.toMatchObject({ kind: "conflict" });
  await expect(make.subaccount(acme, { monthlyLimit: null })).rejects.toMatchObject({ kind: "invalid" });
  const b = await make.subaccount(acme, { monthlyLimit: 400 });
  await expect(change(acme, b.subaccount.id, { monthlyLimit: 401 })).rejects.toMatchObject({ kind: "conflict" });
  await expect(change(acme, b.subaccount.id, { monthlyLimit: null })).rejects.toMatchObject({ kind: "invalid" });
  await change(acme, a.subaccount.id, { monthlyLimit: 500 });
  expect(await change(acme, b.subaccount.id, { monthlyLimit: 500 })).toMatchObject({ monthlyLimit: 500 });
});

test("strict allocation: many that race for the last room get no more than there is", async () => {
  const made = async (of: TestMaster) => {
    const tries = Array.from({ length: 12 }, () => make.subaccount(of, { monthlyLimit: 150 }));
    return (await Promise.allSettled(tries)).filter(({ status }) => status === "fulfilled").length;
  };
  const acme = await make.master({ allowance: 1000 });
  await strict(acme);
  expect(await made(acme)).toBe(6);
  // Negative control.
  expect(await made(await make.master({ allowance: 1000 }))).toBe(12);
});

test("strict allocation: a disabled one keeps its limit, a closed one counts what it used", async () => {
  const acme = await make.master({ allowance: 1000 });
  const a = await make.subaccount(acme, { monthlyLimit: 600 });
  await strict(acme);
  await use(a.subaccount.id, 100);
  const go = (action: "disable" | "close" | "reopen") =>
    transitionSubaccount(db, acme.principal, a.subaccount.id, action, {}, clock);
  await go("disable");
  await expect(make.subaccount(acme, { monthlyLimit: 500 })).rejects.toMatchObject({ kind: "conflict" });
  await go("close");
  await expect(make.subaccount(acme, { monthlyLimit: 901 })).rejects.toMatchObject({ kind: "conflict" });
  await make.subaccount(acme, { monthlyLimit: 500 });
  await expect(go("reopen")).rejects.toMatchObject({ kind: "conflict" });
  await change(acme, a.subaccount.id, { monthlyLimit: 500 });
  expect(await go("reopen")).toMatchObject({ state: "disabled", monthlyLimit: 500 });
});

test("strict allocation is turned on only when all limits are set and find room", async () => {
  const acme = await make.master({ allowance: 1000 });
  const a = await make.subaccount(acme, { monthlyLimit: 1000 });
  const b = await make.subaccount(acme, { monthlyLimit: null });
  const refused = { kind: "conflict", details: [{ pointer: "/strict_allocation" }] };
  await expect(strict(acme)).rejects.toMatchObject(refused);
  await change(acme, b.subaccount.id, { monthlyLimit: 1 });
  await expect(strict(acme)).rejects.toMatchObject(refused);
  await change(acme, a.subaccount.id, { monthlyLimit: 999 });
  expect(await strict(acme)).toMatchObject({ strictAllocation: true });
});

test("strict allocation: what is too much already may still be lowered", async () => {
  const acme = await make.master({ allowance: 1000 });
  const { subaccount } = await make.subaccount(acme, { monthlyLimit: 900 });
  await make.subaccount(acme, { monthlyLimit: 100 });
  await strict(acme);
  await changeMaster(db, operator, acme.master.id, { allowance: 500 }, {}, clock);
  expect(await change(acme, subaccount.id, { monthlyLimit: 450 })).toMatchObject({ monthlyLimit: 450 });
  await expect(change(acme, subaccount.id, { monthlyLimit: 460 })).rejects.toMatchObject({ kind: "conflict" });
});

test("changes of limit and of state at the same time wait for each other, and none is lost", async () => {
  const acme = await make.master({ allowance: 1000 });
  const shops = [await make.subaccount(acme, { monthlyLimit: 10 }), await make.subaccount(acme, { monthlyLimit: 10 })];
  await strict(acme);
  const both = shops.flatMap(({ subaccount: { id } }) =>
    [20, 30, 40].flatMap((monthlyLimit) => [
      change(acme, id, { monthlyLimit }),
      transitionSubaccount(db, operator, id, monthlyLimit === 30 ? "resume" : "suspend", {}, clock),
      change(acme, id, { name: `Limit ${monthlyLimit}` }),
    ]),
  );
  const settled = await Promise.allSettled(both);
  expect(settled.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []))).toEqual([]);
});

test("the wait for a master is longer than for a row, and only that one", async () => {
  const acme = await make.master({ allowance: 1000 });
  await db.transaction().execute(async (trx) => {
    await findMaster(trx, operator, acme.master.id, clock, "change");
    const { rows } = await sql<{ wait: string }>`select current_setting('lock_timeout') as wait`.execute(trx);
    expect(rows[0]?.wait).toBe("1s");
    const beside = db.transaction().execute((other) => findMaster(other, operator, acme.master.id, clock, "keep"));
    await expect(beside).rejects.toMatchObject({ code: "55P03" });
  });
});
