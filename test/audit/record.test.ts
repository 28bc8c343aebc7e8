/** Who did it, what was before and after, and who may read of it. */
import { expect, test } from "vitest";
import { actFor } from "../../src/accounts/act-for.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { listAudit } from "../../src/audit/list.ts";
import { differing, record } from "../../src/audit/record.ts";
import { formatId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { operator, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();

async function entryOf(principal: Parameters<typeof record>[1]["principal"]) {
  const shop = await make.subaccount(acme);
  const { id: subaccountId, masterId } = shop.subaccount;
  const entry = {
    principal,
    action: "test.done",
    target: "x",
    before: { a: 1 },
    after: { a: 2 },
    masterId,
    subaccountId,
  };
  await db.transaction().execute((trx) => record(trx, entry, clock));
  const [found] = await listAudit(db, operator, { subaccountId, action: "test.done", limit: 1 });
  return { ...found!.actor, subaccountId };
}

test("the actor is the one who did it, also when it acted for another", async () => {
  const shop = await make.subaccount(acme);
  const sub = formatId("sub", shop.subaccount.id);
  const key = formatId("key", acme.principal.keyId!);
  expect(await entryOf(operator)).toMatchObject({ kind: "operator", id: null, actingFor: null });
  expect(await entryOf({ kind: "operator", via: "cli" })).toMatchObject({ kind: "cli", id: null, actingFor: null });
  expect(await entryOf({ kind: "system" })).toMatchObject({ kind: "system", id: null, actingFor: null });
  expect(await entryOf(acme.principal)).toMatchObject({ kind: "master", id: key, actingFor: null });
  expect(await entryOf(shop.principal)).toMatchObject({ kind: "subaccount", id: sub, actingFor: null });
  const asShop = await actFor(db, acme.principal, sub, clock);
  expect(await entryOf(asShop)).toMatchObject({ kind: "master", id: key, actingFor: sub });
  const asMaster = await actFor(db, operator, formatId("mas", acme.master.id), clock);
  expect(await entryOf(asMaster)).toMatchObject({ kind: "operator", actingFor: formatId("mas", acme.master.id) });
});

test("only members that differ are kept", () => {
  expect(differing({ a: 1, b: [1], c: null }, { a: 1, b: [2], d: 4 })).toEqual({
    before: { b: [1], d: null },
    after: { b: [2], d: 4 },
  });
  expect(differing(null, { a: 1 })).toEqual({ before: null, after: { a: 1 } });
});

test("an entry and its change are undone together", async () => {
  const shop = await make.subaccount(acme);
  const { id } = shop.subaccount;
  const undone = db.transaction().execute(async (trx) => {
    await changeSubaccount(trx, acme.principal, id, { name: "Undone" }, {}, clock);
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  expect(await listAudit(db, operator, { subaccountId: id, action: "subaccount.changed", limit: 5 })).toEqual([]);
});

test("a master reads of its own accounts only", async () => {
  const globex = await make.master();
  const shop = await make.subaccount(globex);
  expect(await listAudit(db, acme.principal, { subaccountId: shop.subaccount.id, limit: 5 })).toEqual([]);
  expect(await listAudit(db, acme.principal, { masterId: globex.master.id, limit: 5 })).toEqual([]);
  const seen = await listAudit(db, globex.principal, { limit: 100 });
  expect(new Set(seen.map(({ masterId }) => masterId))).toEqual(new Set([globex.master.id]));
});

test("a subaccount reads what was done to it, but of its master's doings neither values nor keys", async () => {
  const shop = await make.subaccount(acme, { name: "Internal name" });
  const { id } = shop.subaccount;
  await changeSubaccount(db, acme.principal, id, { notes: "pays late" }, {}, clock);
  await changeSubaccount(db, shop.principal, id, { ownerName: "Ann" }, {}, clock);
  const seen = await listAudit(db, shop.principal, { limit: 10 });
  expect(new Set(seen.map(({ subaccountId }) => subaccountId))).toEqual(new Set([id]));
  expect(JSON.stringify(seen)).not.toMatch(/Internal name|pays late|key_/);
  expect(seen.find(({ actor }) => actor.kind === "subaccount")).toMatchObject({ after: { owner_name: "Ann" } });
});

test("pages follow one another without gap or overlap", async () => {
  const globex = await make.master();
  for (let i = 0; i < 3; i++) await make.subaccount(globex);
  const whole = await listAudit(db, globex.principal, { limit: 100 });
  const ids: string[] = [];
  for (let after: (typeof whole)[number]["id"] | undefined; ; ) {
    const page = await listAudit(db, globex.principal, { limit: 2, ...(after ? { after } : {}) });
    ids.push(...page.slice(0, 2).map(({ id }) => id));
    if (page.length <= 2) break;
    after = page[1]!.id;
  }
  expect(ids).toEqual(whole.map(({ id }) => id));
});
