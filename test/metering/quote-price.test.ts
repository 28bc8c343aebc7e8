/** What a change would come to, before it is made. */
import { beforeEach, describe, expect, test } from "vitest";
import { findMaster, findSubaccount } from "../../src/accounts/find.ts";
import { createPlan } from "../../src/accounts/plans.ts";
import { switchPlan } from "../../src/accounts/switch-plan.ts";
import { periodAt } from "../../src/metering/period.ts";
import { type QuoteRequest, quotePrice, readPaidUnits } from "../../src/metering/quote-price.ts";
import { priceOf } from "../../src/prices/amounts.ts";
import { choosePrice, type Payer } from "../../src/prices/choose-price.ts";
import { createRateCard, type NewRateCard } from "../../src/prices/rate-cards.ts";
import { payerOf, readSegments } from "../../src/prices/read-price.ts";
import { stoppedClock } from "../support/stopped-clock.ts";
import { operator, tenants } from "../support/tenants.ts";

const world = await stoppedClock("2026-11-01T00:00:00Z");
const { db, clock } = world;
const make = tenants({ db, clock });
const acme = await make.master();
const { principal } = acme;

const terms = {
  currency: "EUR",
  priceMinor: 3000,
  cycle: "month",
  includedUnits: 1000,
  overagePer1000: "100",
  ceilingMinor: null,
} as const;
let names = 0;
const card = (change: Partial<NewRateCard> = {}, of = principal as typeof principal | typeof operator) => {
  names += 1;
  return createRateCard(db, of, { name: `Card ${names}`, ...terms, ...change }, clock);
};

/** A usage row as acceptance leaves it. */
async function use(id: string, units: number): Promise<void> {
  const { start, end } = periodAt(acme.master.calendar, clock.now());
  await world.pool.query("select open_usage($1, $2, $3)", [id, start, end]);
  await world.pool.query("update usage set used = $2, cap = null, base = null where account_id = $1", [id, units]);
}

async function amounts(payer: Payer): Promise<ReadonlyMap<string, number>> {
  const account =
    "master" in payer
      ? await findMaster(db, operator, payer.master, clock)
      : await findSubaccount(db, principal, payer.subaccount, clock);
  const period = periodAt(account.calendar, clock.now());
  const segments = await readSegments(db, payerOf(account), null);
  const priced = priceOf(segments, period, await readPaidUnits(db, payerOf(account), period));
  return new Map(priced.amounts.map(({ currency, totalMinor }) => [currency, totalMinor]));
}

async function makeChange(payer: Payer, wanted: QuoteRequest): Promise<void> {
  const { plan, monthlyLimit, rateCardId, discountBp, from } = wanted;
  if (plan !== undefined && "subaccount" in payer) {
    await switchPlan(db, principal, payer.subaccount, { plan, when: from, monthlyLimit }, {}, clock);
  }
  if (plan !== undefined && rateCardId === undefined && discountBp === undefined) return;
  const by = "master" in payer ? operator : principal;
  await choosePrice(db, by, payer, { rateCardId, discountBp, from }, {}, clock);
}

/** Quotes, then makes the change: what the amount moved by is what was said. */
async function quoteThenChange(payer: Payer, wanted: QuoteRequest) {
  const before = await amounts(payer);
  const quote = await quotePrice(db, "master" in payer ? operator : principal, payer, wanted, clock);
  expect(await amounts(payer)).toEqual(before);
  await makeChange(payer, wanted);
  const after = await amounts(payer);
  const moved = [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((currency) => {
    const amountMinor = (after.get(currency) ?? 0) - (before.get(currency) ?? 0);
    return amountMinor === 0 ? [] : [{ currency, amountMinor }];
  });
  expect(quote.due).toEqual(moved);
  const { proration, overageChangeMinor, discountChangeMinor, dueNowMinor } = quote;
  const { amountMinor = 0, creditedMinor = 0, creditedCurrency = null } = proration ?? {};
  if (creditedCurrency === null || creditedCurrency === quote.currency) {
    expect(amountMinor - creditedMinor + overageChangeMinor - discountChangeMinor).toBe(dueNowMinor);
  }
  return quote;
}

let subaccount: Awaited<ReturnType<typeof make.subaccount>>["subaccount"];
beforeEach(async () => {
  await world.set("2026-11-01T00:00:00Z");
  ({ subaccount } = await make.subaccount(acme, { monthlyLimit: 10_000 }));
});

test("a first price in the middle of a period: the rest of it, by the second", async () => {
  const { id } = await card();
  await world.set("2026-11-16T00:00:00Z");
  const quote = await quoteThenChange({ subaccount: subaccount.id }, { rateCardId: id, discountBp: 1000, from: "now" });
  expect(quote).toMatchObject({
    currency: "EUR",
    valueMinor: 3000,
    discountMinor: 300,
    pricePerCycleMinor: 2700,
    proration: {
      from: new Date("2026-11-16T00:00:00Z"),
      until: new Date("2026-12-01T00:00:00Z"),
      seconds: 15 * 86_400,
      ofSeconds: 30 * 86_400,
      amountMinor: 1500,
      creditedMinor: 0,
    },
    dueNowMinor: 1350,
    nextCycleAt: new Date("2026-12-01T00:00:00Z"),
  });
});

test("an upgrade asks the difference, and its included units take overage away", async () => {
  const [small, large] = [await card(), await card({ priceMinor: 9000, includedUnits: 100_000 })];
  const payer = { subaccount: subaccount.id };
  await choosePrice(db, principal, payer, { rateCardId: small.id, from: "now" }, {}, clock);
  await use(subaccount.id, 5000);
  await world.set("2026-11-11T00:00:00Z");
  const quote = await quoteThenChange(payer, { rateCardId: large.id, from: "now" });
  expect(quote).toMatchObject({
    proration: { amountMinor: 6000, creditedMinor: 2000 },
    overageChangeMinor: -400,
    dueNowMinor: 3600,
  });
});

test("from the next period nothing is due now", async () => {
  const [small, large] = [await card(), await card({ priceMinor: 9000 })];
  const payer = { subaccount: subaccount.id };
  await choosePrice(db, principal, payer, { rateCardId: small.id, from: "now" }, {}, clock);
  await world.set("2026-11-11T00:00:00Z");
  const quote = await quoteThenChange(payer, { rateCardId: large.id, from: "next_period" });
  expect(quote).toMatchObject({
    pricePerCycleMinor: 9000,
    proration: null,
    dueNowMinor: 0,
    due: [],
    nextCycleAt: new Date("2026-12-01T00:00:00Z"),
  });
});

test("from a yearly plan to another: a year is asked, the rest of the old one given back", async () => {
  const price = (amountMinor: number) => ({ amountMinor, currency: "EUR" });
  const plan = (name: string, amountMinor: number) =>
    createPlan(
      db,
      principal,
      { name, monthlyLimit: 10, features: {}, price: price(amountMinor), cycle: "yearly" },
      clock,
    );
  await plan("Small year", 36_500);
  await plan("Large year", 73_000);
  await world.set("2026-11-10T00:00:00Z");
  const payer = { subaccount: subaccount.id };
  expect(await quoteThenChange(payer, { plan: "Small year", from: "now" })).toMatchObject({
    dueNowMinor: 36_500,
    nextCycleAt: new Date("2027-11-10T00:00:00Z"),
  });
  await world.set("2027-01-09T00:00:00Z"); // 60 days of 365
  const quote = await quoteThenChange(payer, { plan: "Large year", monthlyLimit: 7, from: "now" });
  expect(quote).toMatchObject({
    proration: {
      seconds: 365 * 86_400,
      ofSeconds: 365 * 86_400,
      amountMinor: 73_000,
      creditedMinor: 30_500,
      creditedCurrency: "EUR",
    },
    dueNowMinor: 42_500,
    nextCycleAt: new Date("2028-01-09T00:00:00Z"),
  });
  await createPlan(
    db,
    principal,
    { name: "Free", monthlyLimit: 1, features: {}, price: null, cycle: "monthly" },
    clock,
  );
  await world.set("2027-06-08T00:00:00Z"); // 150 days of 365
  expect(await quoteThenChange(payer, { plan: "Free", from: "now" })).toMatchObject({
    currency: null,
    proration: {
      from: new Date("2027-06-08T00:00:00Z"),
      until: new Date("2028-01-09T00:00:00Z"),
      seconds: 215 * 86_400,
      ofSeconds: 365 * 86_400,
      amountMinor: 0,
      creditedMinor: 43_000,
      creditedCurrency: "EUR",
    },
    dueNowMinor: -43_000,
    nextCycleAt: null,
  });
});

test("in another currency each is due in its own, and without a price what is left is given back", async () => {
  const [euros, dollars] = [await card(), await card({ currency: "USD", priceMinor: 600 })];
  const payer = { subaccount: subaccount.id };
  await choosePrice(db, principal, payer, { rateCardId: euros.id, from: "now" }, {}, clock);
  await world.set("2026-11-16T00:00:00Z");
  expect(await quoteThenChange(payer, { rateCardId: dollars.id, from: "now" })).toMatchObject({
    currency: "USD",
    dueNowMinor: 300,
    due: [
      { currency: "EUR", amountMinor: -1500 },
      { currency: "USD", amountMinor: 300 },
    ],
  });
  await world.set("2026-11-21T00:00:00Z");
  expect(await quoteThenChange(payer, { rateCardId: null, from: "now" })).toMatchObject({
    currency: null,
    pricePerCycleMinor: 0,
    dueNowMinor: -200,
    nextCycleAt: null,
  });
});

test("the same again changes nothing", async () => {
  const { id } = await card();
  const payer = { subaccount: subaccount.id };
  await choosePrice(db, principal, payer, { rateCardId: id, from: "now" }, {}, clock);
  await world.set("2026-11-20T10:11:12Z");
  expect(await quoteThenChange(payer, { rateCardId: id, from: "now" })).toMatchObject({
    proration: null,
    dueNowMinor: 0,
  });
});

test("a master's price is quoted to the operator alone", async () => {
  const sold = await card({ priceMinor: 100_000 }, operator);
  const payer = { master: acme.master.id };
  await world.set("2026-11-16T00:00:00Z");
  const wanted = { rateCardId: sold.id, from: "now" } as const;
  await expect(quotePrice(db, principal, payer, wanted, clock)).rejects.toMatchObject({ kind: "forbidden" });
  await use(acme.master.id, 3000);
  expect(await quoteThenChange(payer, wanted)).toMatchObject({ dueNowMinor: 50_000 + 250 });
});

describe("a quote", () => {
  const rows = async () => {
    const { rows: tables } = await world.pool.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1",
    );
    const counted: string[] = [];
    for (const { name } of tables) {
      const { rows: found } = await world.pool.query(
        `select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) as sum from ${name} t`,
      );
      counted.push(`${name} ${found[0].sum}`);
    }
    return counted;
  };

  test("stores nothing, and the change it tries does", async () => {
    const { id } = await card();
    const payer = { subaccount: subaccount.id };
    const wanted = { rateCardId: id, discountBp: 5, from: "now" } as const;
    const before = await rows();
    await quotePrice(db, principal, payer, wanted, clock);
    await quotePrice(db, principal, payer, { ...wanted, from: "next_period" }, clock);
    expect(await rows()).toEqual(before);
    await makeChange(payer, wanted);
    expect(await rows()).not.toEqual(before);
  });

  test("of a plan is asked by many at once, also where limits are shared out strictly", async () => {
    const strict = await make.master({ allowance: 100, strictAllocation: true });
    const price = { amountMinor: 100, currency: "EUR" };
    const plan = { name: "Strict", monthlyLimit: 5, features: {}, price, cycle: "monthly" } as const;
    await createPlan(db, strict.principal, plan, clock);
    const shops = await Promise.all([1, 2, 3, 4].map(() => make.subaccount(strict, { monthlyLimit: 1 })));
    const wanted = { plan: "Strict", discountBp: 100, from: "now" } as const;
    const quotes = await Promise.all(
      shops.map((one) => quotePrice(db, strict.principal, { subaccount: one.subaccount.id }, wanted, clock)),
    );
    expect(quotes.map(({ pricePerCycleMinor }) => pricePerCycleMinor)).toEqual([99, 99, 99, 99]);
  });

  test("is refused as the change would be", async () => {
    const payer = { subaccount: subaccount.id };
    const refused = (wanted: QuoteRequest, pointer: string) =>
      expect(quotePrice(db, principal, payer, wanted, clock)).rejects.toMatchObject({ details: [{ pointer }] });
    await refused({ plan: "none", from: "now" }, "/plan");
    await refused({ discountBp: 10_001, from: "now" }, "/discount_bp");
    await refused({ rateCardId: (await card({}, operator)).id, from: "now" }, "/rate_card_id");
  });
});
