/** Merge patches of subaccounts and masters. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { changeMaster, type MasterPatch } from "../../src/accounts/change-master.ts";
import { changeSubaccount, type SubaccountPatch } from "../../src/accounts/change-subaccount.ts";
import { findMaster, findSubaccount } from "../../src/accounts/find.ts";
import { mergePatch } from "../../src/accounts/merge-patch.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { syncUsage } from "../../src/accounts/sync-usage.ts";
import { listAudit } from "../../src/audit/list.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createClock } from "../../src/platform/clock.ts";
import { testDatabase } from "../support/database.ts";
import { operator, type TestSubaccount, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();

const change = (
  shop: TestSubaccount,
  patch: SubaccountPatch,
  version?: number,
  principal: Principal = acme.principal,
) => changeSubaccount(db, principal, shop.subaccount.id, patch, { version }, clock);
const changeAcme = (patch: MasterPatch, principal: Principal = operator) =>
  changeMaster(db, principal, acme.master.id, patch, {}, clock);
const events = (subaccountId: string) =>
  db
    .selectFrom("event")
    .select(["type", "data"])
    .where("subaccount_id", "=", subaccountId as never)
    .orderBy("id")
    .execute();

test("members that are given change, null takes out, the rest stays", async () => {
  const shop = await make.subaccount(acme, { ownerName: "Ann", region: "EU", metadata: { a: 1, b: { c: 2 } } });
  const patch = { name: "New", ownerName: null, metadata: { a: null, b: { d: 3 } }, expiresAt: undefined };
  const after = await change(shop, patch);
  expect(after).toMatchObject({ name: "New", ownerName: null, region: "EU", version: 2 });
  expect(after.metadata).toEqual({ b: { c: 2, d: 3 } });
  expect((await change(shop, { metadata: null })).metadata).toEqual({});
});

test("what changes nothing keeps the version and writes no audit entry", async () => {
  const shop = await make.subaccount(acme, { ownerName: "Ann", metadata: { a: 1 } });
  const same = { ownerName: "Ann", monthlyLimit: 100, metadata: { a: 1 }, alertThresholds: null };
  expect(await change(shop, same)).toEqual(await findSubaccount(db, acme.principal, shop.subaccount.id, clock));
  expect((await change(shop, {})).version).toBe(1);
  const entries = await listAudit(db, acme.principal, { subaccountId: shop.subaccount.id, limit: 10 });
  expect(entries).toHaveLength(2);
});

test("a change that was decided on an older version is refused", async () => {
  const shop = await make.subaccount(acme);
  await change(shop, { name: "First" }, 1);
  await expect(change(shop, { name: "Second" }, 1)).rejects.toMatchObject({ kind: "precondition" });
  expect(await change(shop, { name: "Second" }, 2)).toMatchObject({ name: "Second", version: 3 });
});

test("of ten changes decided on one version exactly one is made", async () => {
  const shop = await make.subaccount(acme);
  const tries = Array.from({ length: 10 }, (_, i) => change(shop, { name: `Name ${i}` }, 1));
  const settled = await Promise.allSettled(tries);
  expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a changed limit is in the usage row when the call answers, is audited as quota.set, and is an event", async () => {
  const shop = await make.subaccount(acme);
  const { start, end } = periodAt(shop.subaccount.calendar, clock.now());
  const { id } = shop.subaccount;
  await db.selectNoFrom((eb) => eb.fn("open_usage", [eb.val(id), eb.val(start), eb.val(end)]).as("x")).execute();
  await change(shop, { monthlyLimit: 250, name: "Bigger" });
  const row = await db.selectFrom("usage").select("cap").where("account_id", "=", id).executeTakeFirstOrThrow();
  expect(row.cap).toBe(250);
  const entries = (await listAudit(db, acme.principal, { subaccountId: id, limit: 2 })).slice(0, 2);
  expect(entries.map(({ action }) => action).sort()).toEqual(["quota.set", "subaccount.changed"]);
  const set = entries.find(({ action }) => action === "quota.set");
  expect(set).toMatchObject({ before: { monthly_limit: 100 }, after: { monthly_limit: 250 } });
  const changed = entries.find(({ action }) => action === "subaccount.changed");
  expect(changed).toMatchObject({ before: { name: "Corner Shop" }, after: { name: "Bigger" } });
  expect(await events(id)).toEqual([{ type: "quota.changed", data: { monthly_limit: 250, previous: 100 } }]);
});

test("an end date in the past shows as expired, and one to come does not", async () => {
  const shop = await make.subaccount(acme);
  expect((await change(shop, { expiresAt: new Date(clock.now().getTime() + 3_600_000) })).state).toBe("active");
  expect((await change(shop, { expiresAt: new Date("2020-01-01") })).state).toBe("expired");
  expect((await events(shop.subaccount.id)).map(({ data }) => data)).toEqual([{ from: "active", to: "expired" }]);
});

test("a subaccount changes its owner's details, not what it may send or who hears of it", async () => {
  const shop = await make.subaccount(acme);
  const mine = { ownerName: "Ann", ownerEmail: "ann@shop.example", language: "de", timeZone: "Europe/Zurich" };
  expect(await change(shop, mine, undefined, shop.principal)).toMatchObject(mine);
  for (const patch of [
    { monthlyLimit: 1000 },
    { name: "x" },
    { notificationEmails: ["a@b.example"] },
    { notes: "x" },
  ]) {
    await expect(change(shop, patch, undefined, shop.principal)).rejects.toMatchObject({ kind: "forbidden" });
  }
});

test("whoever may only read changes nothing", async () => {
  const shop = await make.subaccount(acme);
  const reader = { ...acme.principal, scopes: ["read", "send", "billing"] } as const;
  const frozen = { ...acme.principal, frozen: "suspended" } as const;
  for (const principal of [reader, frozen]) {
    await expect(change(shop, { name: "x" }, undefined, principal)).rejects.toMatchObject({ kind: "forbidden" });
    await expect(changeAcme({ name: "x" }, principal)).rejects.toMatchObject({ kind: "forbidden" });
  }
});

test("slugs and external ids of others can't be taken over", async () => {
  const [a, b] = [await make.subaccount(acme, { externalId: "a" }), await make.subaccount(acme, { externalId: "b" })];
  const slug = change(a, { slug: b.subaccount.slug });
  await expect(slug).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/slug" }] });
  const id = change(a, { externalId: "b" });
  await expect(id).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/external_id" }] });
  expect(await change(a, { slug: "a-new-one", externalId: "c" })).toMatchObject({ slug: "a-new-one", externalId: "c" });
});

test("a master changes its notifications itself; what it pays for is the operator's", async () => {
  const mine = { notificationEmails: ["new@acme.example", { email: "bill@acme.example", topics: ["billing"] }] };
  expect(await changeAcme(mine, acme.principal)).toMatchObject(mine);
  const theirs: MasterPatch[] = [
    { allowance: 1 },
    { overage: "bill" },
    { senderPolicy: "any" },
    { anchorDay: 5 },
    { expiresAt: null },
  ];
  for (const patch of theirs)
    await expect(changeAcme(patch, acme.principal)).rejects.toMatchObject({ kind: "forbidden" });
});

test("changed thresholds of a master reach its subaccounts' usage rows by a job, but not those with their own", async () => {
  const globex = await make.master();
  const [follows, own] = [await make.subaccount(globex), await make.subaccount(globex, { alertThresholds: [50] })];
  for (const { subaccount } of [follows, own]) {
    const { start, end } = periodAt(subaccount.calendar, clock.now());
    await db
      .selectNoFrom((eb) => eb.fn("open_usage", [eb.val(subaccount.id), eb.val(start), eb.val(end)]).as("x"))
      .execute();
  }
  await changeMaster(db, operator, globex.master.id, { alertThresholds: [70] }, {}, clock);
  await syncUsage(db, { master_id: globex.master.id });
  const thresholds = async (id: string) =>
    (
      await db
        .selectFrom("usage")
        .select("thresholds")
        .where("account_id", "=", id as never)
        .executeTakeFirstOrThrow()
    ).thresholds;
  expect(await thresholds(follows.subaccount.id)).toEqual([70]);
  expect(await thresholds(own.subaccount.id)).toEqual([50]);
});

test("anchor day and time zone change when the running period ends", async () => {
  const { master } = await make.master();
  const running = periodAt(master.calendar, clock.now());
  const patch = { anchorDay: 15, timeZone: "Europe/Berlin" };
  const { calendar } = await changeMaster(db, operator, master.id, patch, {}, clock);
  expect(calendar).toEqual({ anchorDay: 1, timeZone: "UTC", next: { ...patch, changesAt: running.end } });
  expect(periodAt(calendar, clock.now())).toEqual(running);
  expect(periodAt(calendar, running.end).start).toEqual(running.end);
  const back = await changeMaster(db, operator, master.id, { anchorDay: 1, timeZone: "UTC" }, {}, clock);
  expect(back.calendar).toEqual({ anchorDay: 1, timeZone: "UTC" });
});

test("a calendar does not change again while the short period of the last change runs", async () => {
  const { master } = await make.master();
  const { calendar } = await changeMaster(db, operator, master.id, { anchorDay: 15 }, {}, clock);
  const changesAt = calendar.next?.changesAt.getTime() ?? 0;
  const then = createClock(changesAt + 3_600_000 - Date.now());
  const again = changeMaster(db, operator, master.id, { anchorDay: 20 }, {}, then);
  await expect(again).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/anchor_day" }] });
  const later = createClock(changesAt + 60 * 86_400_000 - Date.now());
  const changed = await changeMaster(db, operator, master.id, { anchorDay: 20 }, {}, later);
  expect(changed.calendar).toMatchObject({ anchorDay: 15, next: { anchorDay: 20 } });
});

test("a change never moves the period that is running, in the last minute of a short one neither", async () => {
  const { master } = await make.master();
  const { calendar } = await changeMaster(db, operator, master.id, { anchorDay: 15 }, {}, clock);
  const short = periodAt(calendar, calendar.next!.changesAt);
  expect(short.end.getTime() - short.start.getTime()).toBeLessThan(28 * 86_400_000);
  const late = createClock(short.end.getTime() - 30_000 - Date.now());
  const again = changeMaster(db, operator, master.id, { anchorDay: 20 }, {}, late);
  await expect(again).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/anchor_day" }] });
  const ended = createClock(short.end.getTime() - Date.now());
  const changed = await changeMaster(db, operator, master.id, { anchorDay: 20 }, {}, ended);
  expect(periodAt(changed.calendar, ended.now()).start).toEqual(short.end);
});

test("a change in the last minute of a period waits for the end of the next: other processes may not know it yet", async () => {
  const { master } = await make.master();
  const running = periodAt(master.calendar, clock.now());
  const late = createClock(running.end.getTime() - 30_000 - Date.now());
  const { calendar } = await changeMaster(db, operator, master.id, { anchorDay: 15 }, {}, late);
  expect(calendar.next?.changesAt).toEqual(periodAt(master.calendar, running.end).end);
});

test("a master's changes are audited with what was before", async () => {
  const { master } = await make.master({ allowance: 10 });
  await changeMaster(db, operator, master.id, { allowance: 20 }, {}, clock);
  const [entry] = await listAudit(db, operator, { masterId: master.id, limit: 1 });
  expect(entry).toMatchObject({ action: "master.changed", before: { allowance: 10 }, after: { allowance: 20 } });
  expect(entry?.actor.kind).toBe("operator");
  expect((await findMaster(db, operator, master.id, clock)).version).toBe(2);
});

test("merge patch: the examples of RFC 7396", () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [["a"], { a: "b" }, { a: "b" }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) expect(mergePatch(target, patch)).toEqual(result);
});

test("merge patch: a second time changes nothing, and a prototype is never touched", () => {
  fc.assert(
    fc.property(fc.json(), fc.json(), (target, patch) => {
      const once = mergePatch(JSON.parse(target), JSON.parse(patch));
      expect(mergePatch(once, JSON.parse(patch))).toEqual(once);
    }),
  );
  mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}'));
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});
