/** The copy by which subaccounts are sorted by use: it gives the order of the counters, and never a value that is shown. */
import fc from "fast-check";
import { sql } from "kysely";
import { beforeEach, expect, test } from "vitest";
import {
  type ListedSubaccount,
  listSubaccounts,
  type SubaccountFilter,
  type SubaccountSort,
} from "../../src/accounts/list-subaccounts.ts";
import type { CursorValue, Sort } from "../../src/accounts/sort.ts";
import { orderUsage } from "../../src/accounts/usage-order.ts";
import { periodAt } from "../../src/metering/period.ts";
import { openDatabase } from "../../src/platform/database.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { tenants } from "../support/tenants.ts";

const { db, url, clock } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();
const payload = { master_id: acme.master.id };
const shops: SubaccountId[] = [];
for (let i = 0; i < 24; i++) {
  const terms = { name: `shop ${i % 5}`, plan: i % 3 === 0 ? "gold" : null, monthlyLimit: i % 4 === 0 ? null : i * 10 };
  const { subaccount } = await make.subaccount(acme, terms);
  shops.push(subaccount.id);
  // Some have sent nothing; some of those have a usage row all the same.
  if (i % 6 !== 0) await use(subaccount.id, (i % 5) * 7);
}

async function use(id: SubaccountId, used: number): Promise<void> {
  const { start, end } = periodAt(acme.master.calendar, clock.now());
  await sql`select open_usage(${id}, ${start}, ${end})`.execute(db);
  await db.updateTable("usage").set({ used }).where("account_id", "=", id).execute();
}

/** As if so much time had passed since the copy was read. */
async function age(seconds: number): Promise<void> {
  await sql`update usage_order_state set read_at = read_at - make_interval(secs => ${seconds})`.execute(db);
}

async function refresh(): Promise<void> {
  await age(20);
  await orderUsage(db, payload, clock);
}

type Filter = Omit<SubaccountFilter, "limit">;
async function all(filter: Filter, limit: number, between = async () => {}): Promise<ListedSubaccount[]> {
  const items: ListedSubaccount[] = [];
  for (let after: readonly CursorValue[] | undefined; ; ) {
    const page = await listSubaccounts(db, acme.principal, { ...filter, limit, after }, clock);
    items.push(...page.items);
    if (page.next === null) return items;
    after = JSON.parse(JSON.stringify(page.next)) as CursorValue[];
    await between();
  }
}

const idsOf = (items: readonly ListedSubaccount[]) => items.map(({ id }) => id);

const keys: Record<string, (item: ListedSubaccount) => string | number> = {
  used: ({ used }) => used,
  used_percent: ({ usedPercent }) => usedPercent ?? -1,
  remaining: ({ monthlyLimit, used }) => Math.max(0, (monthlyLimit ?? 9e15) - used),
  plan: ({ plan }) => plan ?? "",
  created: ({ id }) => id,
};

function plainly(items: readonly ListedSubaccount[], sorts: readonly Sort<SubaccountSort>[]): SubaccountId[] {
  const last = sorts.at(-1)?.descending ?? false;
  const whole = [...sorts, { by: "created" as const, descending: last }];
  const sorted = items.toSorted((a, b) => {
    for (const { by, descending } of whole) {
      const [x, y] = [keys[by]!(a), keys[by]!(b)];
      if (x !== y) return x < y === descending ? 1 : -1;
    }
    return 0;
  });
  return idsOf(sorted);
}

const byUse = fc.constantFrom<SubaccountSort>("used", "used_percent", "remaining");
const anySort = fc.constantFrom(...(Object.keys(keys) as SubaccountSort[]));
const sortsByUse = fc
  .tuple(byUse, fc.array(anySort, { maxLength: 2 }), fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), fc.nat(2))
  .map(([one, others, descending, at]) => {
    const names = [...new Set([...others.slice(0, at), one, ...others.slice(at)])];
    return names.map((by, n) => ({ by, descending: descending[n]! }));
  });
const filters = fc.constantFrom<Filter>(
  {},
  { plan: "gold" },
  { withOwn: true },
  { q: "shop 2" },
  { q: "2" },
  { usedGte: 7 },
);

beforeEach(async () => {
  await sql`truncate usage_order_state`.execute(db);
});

test("with the copy and without, in pages of any size, the order is that of a plain sort", async () => {
  const run = fc.asyncProperty(sortsByUse, filters, fc.integer({ min: 1, max: 30 }), async (sort, filter, limit) => {
    const plain = plainly(await all({ ...filter, sort: [{ by: "name", descending: false }] }, 100), sort);
    expect(idsOf(await all({ ...filter, sort }, limit))).toEqual(plain);
  });
  await fc.assert(run, { numRuns: 30 });
  await refresh();
  await fc.assert(run, { numRuns: 60 });
  // Negative control: the copy does decide the order, and none of the values.
  const sort = [{ by: "used", descending: false }] as const;
  const before = await all({ sort }, 100);
  await sql`update usage_order set used = 1000 - used`.execute(db);
  const after = await all({ sort }, 100);
  expect(idsOf(after)).not.toEqual(idsOf(before));
  expect(plainly(after, sort)).toEqual(idsOf(before));
  await refresh();
  expect(await all({ sort }, 100)).toEqual(before);
});

test("while others send and the copy is read again, or is missing, whom nothing changes for comes once", async () => {
  const moved = shops.filter((_, n) => n % 3 === 1);
  const still = shops.filter((id) => !moved.includes(id));
  let count = 0;
  const between = async () => {
    for (const id of moved) await use(id, (count++ * 37) % 60);
    if (count % 2 === 0) await refresh();
    else await sql`truncate usage_order_state`.execute(db);
  };
  for (const by of ["used", "used_percent", "remaining"] as const) {
    for (const descending of [false, true]) {
      await refresh();
      const seen = idsOf(await all({ sort: [{ by, descending }] }, 4, between)).filter((id) => !moved.includes(id));
      expect(seen).toHaveLength(still.length);
      expect(new Set(seen)).toEqual(new Set(still));
    }
  }
});

test("a new subaccount is in the list at once", async () => {
  await refresh();
  const sort = [{ by: "used", descending: false }] as const;
  const fresh = await make.subaccount(acme, { name: "fresh", monthlyLimit: 50 });
  const shown = async () => idsOf(await all({ sort }, 100));
  expect(await shown()).toContain(fresh.subaccount.id);
  for (const by of ["used", "used_percent", "remaining"] as const) {
    const order = [{ by, descending: true }];
    const copied = idsOf(await all({ sort: order }, 100));
    await refresh();
    expect(idsOf(await all({ sort: order }, 100))).toEqual(copied);
  }
  // Negative control: without its row in the copy it would be missing.
  await db.deleteFrom("usage_order").where("account_id", "=", fresh.subaccount.id).execute();
  expect(await shown()).not.toContain(fresh.subaccount.id);
  await refresh();
  expect(await shown()).toContain(fresh.subaccount.id);
});

test("the values shown are the counters', however old the copy", async () => {
  await refresh();
  const [first] = shops;
  await use(first!, 4321);
  const sort = [{ by: "used", descending: false }] as const;
  const found = (await all({ sort }, 5)).find(({ id }) => id === first);
  expect(found).toMatchObject({ used: 4321 });
});

test("a copy older than a minute, or of another period, is not asked; one that is not fresh is asked for once", async () => {
  const sort = [{ by: "used", descending: true }] as const;
  const jobs = async () => {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from graphile_worker.jobs where task_identifier = 'usage_order'`.execute(db);
    return rows[0]!.n;
  };
  const [first] = shops;
  await use(first!, 0);
  await refresh();
  await use(first!, 7000);
  const isFirst = async () => (await all({ sort }, 100))[0]?.id === first;
  expect([await isFirst(), await jobs()]).toEqual([false, 0]);
  await age(30);
  expect([await isFirst(), await isFirst(), await jobs()]).toEqual([false, false, 1]);
  await age(40);
  expect(await isFirst()).toBe(true);
  await refresh();
  await use(first!, 0);
  expect(await isFirst()).toBe(true);
  await sql`update usage_order_state set period_start = period_start - interval '1 month'`.execute(db);
  expect(await isFirst()).toBe(false);
  await orderUsage(db, payload, clock);
  await use(first!, 9000);
  expect(await isFirst()).toBe(false);
});

test("two who bring it up to date at once read it once; who has few subaccounts has none", async () => {
  await Promise.all([orderUsage(db, payload, clock), orderUsage(db, payload, clock)]);
  const other = await make.master();
  await make.subaccount(other);
  await listSubaccounts(db, other.principal, { sort: [{ by: "used", descending: true }], limit: 5 }, clock);
  const { rows } = await sql`select 1 from usage_order_state`.execute(db);
  expect(rows).toHaveLength(1);
  const waiting = await sql`select 1 from graphile_worker.jobs where key = ${`usage_order:${other.master.id}`}`.execute(
    db,
  );
  expect(waiting.rows).toEqual([]);
});

test("with many subaccounts a page by use, either way, reads few usage rows", async () => {
  const big = await make.master();
  await sql`insert into subaccount (id, master_id, name, slug, monthly_limit, plan, created_at, updated_at)
    select gen_random_uuid(), ${big.master.id}, 'Shop ' || i, 'bulk-' || i, 1000000, (array['basic', 'pro'])[i % 2 + 1], pm_now(), pm_now()
      from generate_series(1, 12000) i`.execute(db);
  const { start, end } = periodAt(big.master.calendar, clock.now());
  await sql`insert into usage (account_id, period_start, period_end, master_id, used, cap, base, top_up, open, thresholds)
    select id, ${start}, ${end}, master_id, substr(slug, 6)::int, 1000000, 1000000, 0, true, '{}' from subaccount
     where master_id = ${big.master.id} and slug like 'bulk-%'`.execute(db);
  await sql`vacuum (analyze) subaccount, usage, master`.execute(db);
  await using one = openDatabase({ url, max: 1 });
  const read = async () => {
    await sql`select pg_stat_force_next_flush()`.execute(one.db);
    const { rows } = await sql<{ n: number }>`select sum(seq_tup_read + idx_tup_fetch)::bigint as n
      from pg_stat_user_tables where relname in ('usage', 'usage_order', 'subaccount')`.execute(one.db);
    return rows[0]!.n;
  };
  const touched = async (filter: Filter) => {
    const before = await read();
    const { items } = await listSubaccounts(one.db, big.principal, { ...filter, limit: 50 }, clock);
    expect(items).toHaveLength(50);
    return (await read()) - before;
  };
  const lowest = { sort: [{ by: "used", descending: false }] } as const;
  // Negative control: without a copy, all of them.
  expect(await touched(lowest)).toBeGreaterThan(12_000);
  await orderUsage(db, { master_id: big.master.id }, clock);
  await sql`vacuum usage_order`.execute(db);
  for (const by of ["used", "used_percent", "remaining"] as const) {
    for (const descending of [false, true]) {
      const sort = [{ by, descending }];
      expect(await touched({ sort })).toBeLessThan(1000);
      expect(await touched({ sort, plan: "pro" })).toBeLessThan(1500);
      const { next } = await listSubaccounts(db, big.principal, { sort, limit: 6000 }, clock);
      expect(await touched({ sort, after: next! })).toBeLessThan(1000);
    }
  }
  const { items } = await listSubaccounts(db, big.principal, { ...lowest, limit: 50 }, clock);
  expect(items.map(({ used }) => used)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
});
