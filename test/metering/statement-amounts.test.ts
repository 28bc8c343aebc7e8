/** What statements ask, in money. */
import { expect, test } from "vitest";
import { closeMaster } from "../../src/metering/close.ts";
import { periodAt } from "../../src/metering/period.ts";
import { listStatements, readStatement } from "../../src/metering/read-statement.ts";
import { EVERYTHING, type Scope } from "../../src/metering/scope.ts";
import type { Statement } from "../../src/metering/statement.ts";
import { statementCsv } from "../../src/metering/statement-csv.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { Amount } from "../../src/prices/amounts.ts";
import { choosePrice } from "../../src/prices/choose-price.ts";
import { createRateCard, type NewRateCard } from "../../src/prices/rate-cards.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { tampered } from "../support/tampering.ts";
import { operator, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock } = database;
const make = tenants({ db, clock });

const terms = {
  currency: "EUR",
  priceMinor: 3000,
  cycle: "month",
  includedUnits: 2,
  overagePer1000: "100000",
  ceilingMinor: null,
} as const;
let names = 0;
function card(change: Partial<NewRateCard>, principal: Parameters<typeof createRateCard>[1]) {
  names += 1;
  return createRateCard(db, principal, { name: `Card ${names}`, ...terms, ...change }, clock);
}

/** A master who pays 90 EUR and 1 EUR for each unit above 5, with two priced subaccounts and its own sending. */
async function reseller() {
  const master = await make.master();
  const { principal } = master;
  const sold = await card({ priceMinor: 9000, includedUnits: 5 }, operator);
  await choosePrice(db, operator, { master: master.master.id }, { rateCardId: sold.id, from: "now" }, {}, clock);
  await card({ isDefault: true }, principal);
  const dollars = await card({ currency: "USD", includedUnits: null }, principal);
  const [one, other] = [await make.subaccount(master), await make.subaccount(master)];
  const payer = { subaccount: other.subaccount.id };
  await choosePrice(db, principal, payer, { rateCardId: dollars.id, discountBp: 1000, from: "now" }, {}, clock);
  const masterId = master.master.id;
  const ids = [one.subaccount.id, other.subaccount.id, master.master.ownSubaccountId];
  for (const [i, units] of [6, 3, 1].entries()) {
    expect(await acceptUnits(database, { masterId, subaccountId: ids[i]! }, units)).toMatchObject({ kind: "accepted" });
  }
  return { principal, masterId, one: one.subaccount.id, other: other.subaccount.id, own: ids[2]! };
}

const acme = await reseller();
const period = periodAt({ anchorDay: 1, timeZone: "UTC" }, clock.now());
const afterwards = await later(database, period.end.getTime() - clock.now().getTime() + 120_000);

const preview = () => readStatement(db, acme.principal, "current", clock);
const lineOf = ({ lines }: Statement, id: string) => lines.find(({ subaccountId }) => subaccountId === id)!;
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

test("a preview shows what the operator asks, what each subaccount is asked, its cost and the margin", async () => {
  const statement = await preview();
  const [asked] = statement.price!.amounts;
  expect(statement.price).toMatchObject({ unitsAbove: 10 - statement.price!.includedUnits! });
  expect(asked).toMatchObject({ currency: "EUR", overageMinor: statement.price!.unitsAbove * 100, discountMinor: 0 });
  const one = lineOf(statement, acme.one);
  expect(one.price!.segments).toMatchObject([{ source: "default", terms }]);
  const [price] = one.price!.amounts;
  expect(one.margin).toEqual({ currency: "EUR", minor: price!.totalMinor - one.costs[0]!.minor });
  const other = lineOf(statement, acme.other);
  expect(other.price!.amounts).toMatchObject([{ currency: "USD", overageMinor: 0 }]);
  expect(other.margin).toBeNull();
  expect(lineOf(statement, acme.own)).toMatchObject({ price: null, margin: null });
  expect(sum(statement.lines.map(({ costs }) => costs[0]!.minor))).toBe(asked!.totalMinor);
  const exact = (units: number) => (asked!.totalMinor * units) / 10;
  for (const [id, units] of [
    [acme.one, 6],
    [acme.other, 3],
    [acme.own, 1],
  ] as const) {
    expect(Math.abs(lineOf(statement, id).costs[0]!.minor - exact(units))).toBeLessThan(1);
  }
});

test("a closed statement keeps what the preview showed, whatever rules later, and verifies", async () => {
  const before = await preview();
  const closed = await closeMaster(afterwards.db, acme.masterId, { clock: afterwards.clock });
  expect(closed).toHaveLength(1);
  const cheap = await card({ priceMinor: 1 }, operator);
  const change = { rateCardId: cheap.id, from: "now" } as const;
  await choosePrice(afterwards.db, operator, { master: acme.masterId }, change, {}, afterwards.clock);
  const date = period.start.toISOString().slice(0, 10);
  const after = await readStatement(afterwards.db, acme.principal, date, afterwards.clock);
  expect(after.price).toEqual(before.price);
  expect(after.lines.map(({ price, costs, margin }) => ({ price, costs, margin }))).toEqual(
    before.lines.map(({ price, costs, margin }) => ({ price, costs, margin })),
  );
  expect((await verifyLedger(afterwards.db, afterwards.clock)).differences).toEqual([]);
  const [listed] = await listStatements(afterwards.db, acme.principal, { limit: 1 }, afterwards.clock);
  const [{ currency, totalMinor }] = after.price!.amounts as [Amount];
  expect(listed!.totals).toEqual([{ currency, minor: totalMinor }]);
  const [head = "", first = ""] = statementCsv(after).split("\r\n");
  expect(head.split(",").slice(-8)).toEqual([
    "price_currency",
    "fee_minor",
    "overage_minor",
    "discount_minor",
    "total_minor",
    "cost_currency",
    "cost_minor",
    "margin_minor",
  ]);
  expect(first.split(",")).toHaveLength(head.split(",").length);
});

const lies: [name: string, statement: string, found: RegExp][] = [
  [
    "an amount",
    "update statement_amount set fee_minor = fee_minor - 1, total_minor = total_minor - 1",
    /its terms come to/,
  ],
  [
    "a discount",
    "update statement_amount set discount_minor = discount_minor + 1, total_minor = total_minor - 1",
    /its terms/,
  ],
  [
    "terms",
    `update statement_amount set terms = jsonb_set(terms, '{0,price_minor}', '1')`,
    /its terms come to|those that ruled/,
  ],
  ["an amount that is gone", "delete from statement_amount where subaccount_id is null", /those that ruled/],
];
test.each(lies)("%s that was tampered with is found", async (_, statement, found) => {
  await tampered(database, [statement], async () => {
    const { differences } = await verifyLedger(afterwards.db, afterwards.clock);
    const details = differences.map(({ detail }) => detail);
    expect(details).toContainEqual(expect.stringMatching(found));
    expect(details).toContainEqual("its figures or lines are not those that were hashed");
  });
});

test("a price that is written while the period ends is seen by who closes it, or begins later", async () => {
  const master = await make.master();
  const sold = await card({ priceMinor: 77 }, operator);
  const masterId = master.master.id;
  // Under way before the end, and not committed: whoever closes waits.
  const writing = await database.pool.connect();
  await writing.query("begin");
  await writing.query("select lock_prices($1)", [masterId]);
  await writing.query(
    `insert into price_choice (account_id, master_id, rate_card_id, n, updated_at) values ($1, $1, $2, 1, now())`,
    [masterId, sold.id],
  );
  const closing = closeMaster(afterwards.db, masterId, { clock: afterwards.clock });
  await eventually(async () => {
    const { rows } = await database.pool.query("select from pg_locks where locktype = 'advisory' and not granted");
    expect(rows).toHaveLength(1);
  });
  await writing.query("commit");
  writing.release();
  await closing;
  const date = period.start.toISOString().slice(0, 10);
  const statement = await readStatement(afterwards.db, master.principal, date, afterwards.clock);
  expect(statement.price?.segments).toMatchObject([{ terms: { priceMinor: 77 } }]);
});

test("of more lines than are priced at a time each has its price", async () => {
  const master = await make.master();
  await card({ isDefault: true }, master.principal);
  const given = await card({ priceMinor: 5 }, master.principal);
  await database.pool.query(
    `insert into subaccount (id, master_id, name, slug, monthly_limit, created_at, updated_at)
     select gen_random_uuid(), $1, 'One of many', 'many-' || i, 5, now(), now() from generate_series(1, 2100) i`,
    [master.master.id],
  );
  await database.pool.query(
    `insert into price_choice (account_id, master_id, rate_card_id, n, updated_at)
     select id, master_id, $2, 1, now() from subaccount where master_id = $1 and name = 'One of many' order by id desc limit 3`,
    [master.master.id, given.id],
  );
  const { lines } = await readStatement(db, master.principal, "current", clock);
  const sources = Map.groupBy(lines, ({ price }) => price?.segments.at(-1)?.source ?? "none");
  expect([...sources].map(([source, of]) => [source, of.length]).sort()).toEqual([
    ["card", 3],
    ["default", 2097],
    ["none", 1],
  ]);
});

/** Behind the triggers' back, and taken back. */
async function behind(table: string, trigger: string, change: string, back: string, look: () => Promise<void>) {
  await database.pool.query(`alter table ${table} disable trigger ${trigger}`);
  try {
    await database.pool.query(change);
    await look();
  } finally {
    await database.pool.query(back);
    await database.pool.query(`alter table ${table} enable trigger ${trigger}`);
  }
}

test("a price that does not follow from what was chosen is found, and terms that are not those of their version", async () => {
  const of = async (scope: Scope) => (await verifyLedger(afterwards.db, afterwards.clock, { scope })).differences;
  /** All of them, each of which is found in the part of its master alone. */
  const differences = async () => {
    const all = await of(EVERYTHING);
    const masters = await afterwards.db.selectFrom("master").select("id").execute();
    const parts = [];
    for (const { id } of masters) parts.push(...(await of({ masterId: id, period: null })));
    expect(parts.map(({ detail }) => detail).toSorted()).toEqual(all.map(({ detail }) => detail).toSorted());
    return all;
  };
  await make.master(); // another, whose part is in order
  expect(await differences()).toEqual([]);
  const prices = expect.objectContaining({ check: "prices" });
  const choice = "update price_choice set discount_bp = discount_bp";
  await behind("price_choice", "choice_syncs_price", `${choice} + 1`, `${choice} - 1`, async () => {
    expect((await differences()).filter(({ check }) => check === "prices").length).toBeGreaterThan(1);
  });
  const term = (from: number, to: number) =>
    `update price_term set terms = jsonb_set(terms, '{price_minor}', '${to}') where terms ->> 'price_minor' = '${from}'`;
  await behind("price_term", "price_term_stays", term(9000, 9001), term(9001, 9000), async () => {
    const found = await differences();
    expect(found).toContainEqual(prices);
    expect(found.map(({ detail }) => detail)).toContainEqual(expect.stringContaining("are not those that ruled"));
  });
  expect(await differences()).toEqual([]);
});
