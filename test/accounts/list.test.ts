/** Lists: every order, page by page, loses and doubles nobody. */
import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { Subaccount } from "../../src/accounts/account.ts";
import { listMasters } from "../../src/accounts/list-masters.ts";
import {
  type ListedSubaccount,
  listSubaccounts,
  type SubaccountFilter,
  type SubaccountSort,
  subaccountSorts,
} from "../../src/accounts/list-subaccounts.ts";
import { type CursorValue, parseSort, type Sort } from "../../src/accounts/sort.ts";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { periodAt } from "../../src/metering/period.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { subaccountRowsRead } from "../support/rows-read.ts";
import { operator, tenants } from "../support/tenants.ts";

const { db, url, clock } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();
const other = await make.master({ name: "Globex" });
const shops: Subaccount[] = [];
const names = ["beta", "Alpha", "alpha", "Émile", "zeta", "Beta & Sons", "100% off", "a_b", "Ωmega", "alpha"];
for (const [i, name] of names.entries()) {
  const plan = i % 2 === 0 ? "gold" : null;
  const limit = i % 4 === 0 ? null : i * 10;
  const { subaccount } = await make.subaccount(acme, {
    name,
    plan,
    monthlyLimit: limit,
    externalId: `crm-${i}`,
    ownerEmail: `o${i}@x.example`,
  });
  shops.push(subaccount);
  await use(subaccount, i * 3);
}
await make.subaccount(other, { name: "alpha of another" });

async function use(of: Subaccount, used: number): Promise<void> {
  const { start, end } = periodAt(of.calendar, clock.now());
  await db.selectNoFrom((eb) => eb.fn("open_usage", [eb.val(of.id), eb.val(start), eb.val(end)]).as("x")).execute();
  await db.updateTable("usage").set({ used }).where("account_id", "=", of.id).execute();
}

async function all(filter: Omit<SubaccountFilter, "limit">, limit = 3): Promise<ListedSubaccount[]> {
  const items: ListedSubaccount[] = [];
  for (let after: readonly CursorValue[] | undefined; ; ) {
    const page = await listSubaccounts(db, acme.principal, { ...filter, limit, ...(after ? { after } : {}) }, clock);
    items.push(...page.items);
    if (page.next === null) return items;
    // As a cursor would carry it.
    after = JSON.parse(JSON.stringify(page.next)) as CursorValue[];
  }
}
const namesOf = (items: readonly { name: string }[]) => items.map(({ name }) => name);

test("any order, in pages of any size, shows each subaccount once", async () => {
  const sort = fc.record({ by: fc.constantFrom(...subaccountSorts), descending: fc.boolean() });
  const sorts = fc.uniqueArray(sort, { minLength: 1, maxLength: 3, selector: ({ by }) => by });
  const whole = async (by: readonly Sort<SubaccountSort>[]) => all({ sort: by }, 100);
  await fc.assert(
    fc.asyncProperty(sorts, fc.integer({ min: 1, max: 11 }), async (by, limit) => {
      const paged = (await all({ sort: by }, limit)).map(({ id }) => id);
      expect(paged).toEqual((await whole(by)).map(({ id }) => id));
      expect(new Set(paged)).toEqual(new Set(shops.map(({ id }) => id)));
    }),
    { numRuns: 60 },
  );
});

test("the order is the one asked for", async () => {
  const used = await all({ sort: [{ by: "used", descending: true }] });
  expect(used.map((one) => one.used)).toEqual([27, 24, 21, 18, 15, 12, 9, 6, 3, 0]);
  const percent = (await all({ sort: [{ by: "used_percent", descending: true }] })).map((one) => one.usedPercent);
  expect(percent.slice(0, 7)).toEqual([30, 30, 30, 30, 30, 30, 30]);
  expect(percent.slice(7)).toEqual([null, null, null]);
  const two = await all({
    sort: [
      { by: "plan", descending: true },
      { by: "used", descending: false },
    ],
  });
  expect(two.map((one) => [one.plan, one.used])).toEqual([
    ["gold", 0],
    ["gold", 6],
    ["gold", 12],
    ["gold", 18],
    ["gold", 24],
    [null, 3],
    [null, 9],
    [null, 15],
    [null, 21],
    [null, 27],
  ]);
});

test("the usage shown is that of the running period, with its top-ups", async () => {
  const [first] = await all({ q: "crm-5" });
  expect(first).toMatchObject({ used: 15, topUp: 0, usedPercent: 30, monthlyLimit: 50 });
  const { start } = periodAt(acme.master.calendar, clock.now());
  const fresh = await make.subaccount(acme, { name: "topped", monthlyLimit: 10 });
  const row = {
    subaccount_id: fresh.subaccount.id,
    master_id: acme.master.id,
    period_start: start,
    units: 5,
    note: null,
  };
  await db
    .insertInto("top_up")
    .values({ ...row, id: fresh.subaccount.id as never, created_at: clock.now() })
    .execute();
  expect((await all({ q: "topped" }))[0]).toMatchObject({ used: 0, topUp: 5 });
  await db.deleteFrom("top_up").where("subaccount_id", "=", fresh.subaccount.id).execute();
  await sql`delete from audit_entry where subaccount_id = ${fresh.subaccount.id}`.execute(db);
  await db.deleteFrom("credential").where("subaccount_id", "=", fresh.subaccount.id).execute();
  await db.deleteFrom("subaccount").where("id", "=", fresh.subaccount.id).execute();
});

test.each([
  ["alpha", ["Alpha", "alpha", "alpha"]],
  ["ALPHA", ["Alpha", "alpha", "alpha"]],
  ["100%", ["100% off"]],
  ["a_b", ["a_b"]],
  ["émile", ["Émile"]],
  ["crm-7", ["a_b"]],
  ["o4@x", ["zeta"]],
  ["another", []],
  ["al", ["Alpha", "alpha", "alpha"]],
  ["%", ["100% off"]],
  ["a_", ["a_b"]],
  ["\\", []],
  ["a\0lpha", ["Alpha", "alpha", "alpha"]],
])("a search for %j finds names, e-mails and ids, of this master only", async (q, found) => {
  expect(namesOf(await all({ q })).sort()).toEqual([...found].sort());
});

test("a search finds the sender domains too", async () => {
  const [shop] = shops;
  const row = {
    id: shop?.id as never,
    master_id: acme.master.id,
    subaccount_id: shop?.id ?? null,
    name: "mail.beta.example",
  };
  await db
    .insertInto("sender_domain")
    .values({ ...row, token: "t", created_at: clock.now() })
    .execute();
  expect(namesOf(await all({ q: "beta.example" }))).toEqual(["beta"]);
});

test("filters by plan and by use", async () => {
  expect(await all({ plan: "gold" })).toHaveLength(5);
  expect(await all({ plan: "silver" })).toHaveLength(0);
  expect(await all({ usedPercentGte: 30 })).toHaveLength(7);
  expect(await all({ usedPercentGte: 30.5 })).toHaveLength(0);
});

test("the state filtered by is the state shown, whatever makes it", async () => {
  const globex = await make.master();
  const made = await Promise.all(["a", "b", "c", "d", "e"].map((name) => make.subaccount(globex, { name })));
  const [, b, c, d, e] = made.map(({ subaccount }) => subaccount.id);
  await transitionSubaccount(db, globex.principal, b!, "disable", {}, clock);
  await transitionSubaccount(db, globex.principal, c!, "close", {}, clock);
  await transitionSubaccount(db, operator, d!, "suspend", {}, clock);
  await db
    .updateTable("subaccount")
    .set({ expires_at: new Date("2020-01-01") })
    .where("id", "=", e!)
    .execute();
  const states = async () => {
    const { items } = await listSubaccounts(db, globex.principal, { limit: 100, withOwn: true }, clock);
    for (const state of new Set(items.map((item) => item.state))) {
      const filtered = await listSubaccounts(
        db,
        globex.principal,
        { states: [state], limit: 100, withOwn: true },
        clock,
      );
      const same = items.filter((item) => item.state === state);
      expect(filtered.items.map(({ id }) => id)).toEqual(same.map(({ id }) => id));
    }
    return items.filter(({ own }) => !own).map(({ state }) => state);
  };
  expect(await states()).toEqual(["active", "disabled", "closed", "suspended", "expired"]);
  await transitionMaster(db, operator, globex.master.id, "suspend", {}, clock);
  expect(await states()).toEqual(["suspended", "suspended", "closed", "suspended", "suspended"]);
});

test("the master's own subaccount is listed only when asked for", async () => {
  expect((await all({})).some(({ own }) => own)).toBe(false);
  expect((await all({ withOwn: true })).filter(({ own }) => own)).toHaveLength(1);
});

test("a master lists its own, a subaccount itself, the operator all or one master's", async () => {
  const limit = 100;
  const seen = async (principal: Parameters<typeof listSubaccounts>[1], masterId?: typeof acme.master.id) => {
    const { items } = await listSubaccounts(db, principal, { limit, ...(masterId ? { masterId } : {}) }, clock);
    return new Set(items.map((item) => item.masterId));
  };
  expect(await seen(acme.principal)).toEqual(new Set([acme.master.id]));
  expect(await seen(acme.principal, other.master.id)).toEqual(new Set([acme.master.id]));
  expect(await seen(operator, other.master.id)).toEqual(new Set([other.master.id]));
  expect((await seen(operator)).size).toBeGreaterThan(2);
  const [shop] = shops;
  const itself = {
    kind: "subaccount",
    masterId: acme.master.id,
    subaccountId: shop!.id,
    keyId: null,
    scopes: ["full"],
  } as const;
  const { items } = await listSubaccounts(db, itself, { limit }, clock);
  expect(items.map(({ id, used }) => [id, used])).toEqual([[shop!.id, 0]]);
});

test("with many subaccounts a page, in whatever order or found by a search, reads few of them", async () => {
  const big = await make.master();
  await sql`insert into subaccount (id, master_id, name, slug, monthly_limit, created_at, updated_at)
    select gen_random_uuid(), ${big.master.id}, 'Shop ' || i, 'bulk-' || i, 10, pm_now(), pm_now() from generate_series(1, 20000) i`.execute(
    db,
  );
  const { start, end } = periodAt(big.master.calendar, clock.now());
  await sql`insert into usage (account_id, period_start, period_end, master_id, used, cap, base, top_up, open, thresholds)
    select id, ${start}, ${end}, master_id, substr(slug, 6)::int, 10, 10, 0, true, '{}' from subaccount where master_id = ${big.master.id}
       and slug like 'bulk-%'`.execute(db);
  await sql`vacuum (analyze) subaccount, usage, master`.execute(db);
  await using one = openDatabase({ url, max: 1 });
  const touched = async (filter: Omit<SubaccountFilter, "limit">) => {
    const before = await subaccountRowsRead(one.db);
    await listSubaccounts(one.db, big.principal, { ...filter, limit: 50 }, clock);
    return (await subaccountRowsRead(one.db)) - before;
  };
  const byIndex = [
    "name",
    "created",
    "slug",
    "plan",
    "region",
    "owner_name",
    "owner_email",
    "external_id",
    "monthly_limit",
    "language",
    "time_zone",
    "billing_profile",
    "expires",
    "accepted_terms",
  ];
  for (const by of byIndex as SubaccountSort[]) {
    for (const descending of [false, true]) {
      const sort = [{ by, descending }];
      const first = await listSubaccounts(db, big.principal, { sort, limit: 50 }, clock);
      expect(await touched({ sort })).toBeLessThan(1000);
      expect(await touched({ sort, after: first.next! })).toBeLessThan(1000);
    }
  }
  for (const by of ["used", "used_percent"] as const) {
    const sort = [{ by, descending: true }];
    const first = await listSubaccounts(db, big.principal, { sort, limit: 50 }, clock);
    const second = await listSubaccounts(db, big.principal, { sort, limit: 50, after: first.next! }, clock);
    const used = [...first.items, ...second.items].map((item) => item.used);
    expect(used).toEqual(Array.from({ length: 100 }, (_, n) => 20_000 - n));
    expect(await touched({ sort, after: first.next! })).toBeLessThan(1000);
  }
  const byUse = [{ by: "used", descending: true }] as const;
  const sevens = await listSubaccounts(db, big.principal, { sort: byUse, q: "7", limit: 50 }, clock);
  const expected = Array.from({ length: 20_000 }, (_, n) => 20_000 - n).filter((used) => String(used).includes("7"));
  expect(sevens.items.map((item) => item.used)).toEqual(expected.slice(0, 50));
  expect(await touched({ sort: byUse, q: "7" })).toBeLessThan(3000);
  expect(await touched({ q: "bulk-19998" })).toBeLessThan(1000);
  expect(await touched({ q: "no such shop" })).toBeLessThan(1000);
  expect(await touched({ states: ["disabled"] })).toBeLessThan(1000);
  expect(await touched({ usedPercentGte: 199_990 })).toBeLessThan(1000);
  // Negative control: an order without an index reads them all.
  expect(await touched({ sort: [{ by: "updated", descending: false }] })).toBeGreaterThanOrEqual(20_000);
});

test("an account that has left its master since it sent is missing from the page by use, and nobody else", async () => {
  const from = await make.master();
  const made = [];
  for (const used of [50, 40, 30]) {
    const { subaccount } = await make.subaccount(from, { monthlyLimit: 100 });
    await use(subaccount, used);
    made.push(subaccount.id);
  }
  await db.updateTable("subaccount").set({ master_id: other.master.id }).where("id", "=", made[1]!).execute();
  const sort = [{ by: "used", descending: true }] as const;
  const { items } = await listSubaccounts(db, from.principal, { sort, limit: 2 }, clock);
  expect(items.map(({ id }) => id)).toEqual([made[0], made[2]]);
});

test("sorts that make no sense are refused", () => {
  expect(parseSort("-used_percent,name", subaccountSorts)).toEqual([
    { by: "used_percent", descending: true },
    { by: "name", descending: false },
  ]);
  for (const wrong of [
    "",
    "nothing",
    "name,name",
    "name,-name",
    "--name",
    "name,",
    "name,slug,plan,state",
    "constructor",
  ]) {
    expect(parseSort(wrong, subaccountSorts)).toBeUndefined();
  }
});

test("the operator lists masters page by page, and nobody else does", async () => {
  const seen: string[] = [];
  for (let after: readonly CursorValue[] | undefined; ; ) {
    const sort = [{ by: "name", descending: true }] as const;
    const page = await listMasters(db, operator, { sort, limit: 2, ...(after ? { after } : {}) }, clock);
    seen.push(...page.items.map(({ id }) => id));
    if (page.next === null) break;
    after = page.next;
  }
  const count = await db
    .selectFrom("master")
    .select((eb) => eb.fn.countAll<number>().as("n"))
    .executeTakeFirstOrThrow();
  expect([seen.length, new Set(seen).size]).toEqual([count.n, count.n]);
  expect((await listMasters(db, operator, { q: "GLOB", limit: 10 }, clock)).items).toHaveLength(1);
  const suspended = await listMasters(db, operator, { states: ["suspended"], limit: 10 }, clock);
  expect(suspended.items).toHaveLength(1);
  await expect(listMasters(db, acme.principal, { limit: 10 }, clock)).rejects.toMatchObject({ kind: "forbidden" });
});
