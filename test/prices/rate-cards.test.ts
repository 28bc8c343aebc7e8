/** Rate cards, whose they are, and what rules by them. */
import { expect, test } from "vitest";
import { createBillingProfile } from "../../src/accounts/billing-profiles.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { createPlan } from "../../src/accounts/plans.ts";
import { cancelNextPlan, switchPlan } from "../../src/accounts/switch-plan.ts";
import { takeNextPlans } from "../../src/accounts/take-next-plan.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { periodAt } from "../../src/metering/period.ts";
import type { RateCardId } from "../../src/platform/ids.ts";
import { formatId, newId } from "../../src/platform/ids.ts";
import { cancelNextPrice, choosePrice, type PriceChange } from "../../src/prices/choose-price.ts";
import { listRateCards, listRateCardVersions } from "../../src/prices/rate-card.ts";
import { changeRateCard, createRateCard, type NewRateCard, withdrawRateCard } from "../../src/prices/rate-cards.ts";
import { readPrice } from "../../src/prices/read-price.ts";
import { readTerms } from "../../src/prices/read-segments.ts";
import { inForce } from "../../src/prices/segments.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { later } from "../support/ledger.ts";
import { mutateFunction } from "../support/mutant.ts";
import { operator, type TestMaster, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock } = database;
const make = tenants({ db, clock });
const acme = await make.master();

const terms = {
  currency: "EUR",
  priceMinor: 3000,
  cycle: "month",
  includedUnits: 10_000,
  overagePer1000: "35",
  ceilingMinor: null,
} as const;

let names = 0;
const card = (of: TestMaster | undefined, change: Partial<NewRateCard> = {}) => {
  names += 1;
  return createRateCard(db, of?.principal ?? operator, { name: `Card ${names}`, ...terms, ...change }, clock);
};
const give = (of: TestMaster, subaccount: Parameters<typeof priceOf>[1], wanted: Partial<PriceChange>) =>
  choosePrice(db, of.principal, { subaccount }, { from: "now", ...wanted }, {}, clock);
const priceOf = (of: TestMaster, subaccount: Awaited<ReturnType<typeof make.subaccount>>["subaccount"]["id"]) =>
  readPrice(db, of.principal, { subaccount }, clock);

test("new terms are a new version, for those who are given it from then on, or for all at once", async () => {
  const made = await card(acme);
  const [one, other] = [await make.subaccount(acme), await make.subaccount(acme)];
  await give(acme, one.subaccount.id, { rateCardId: made.id });
  const second = await changeRateCard(db, acme.principal, made.id, { priceMinor: 4000 }, {}, clock);
  expect(second.n).toBe(2);
  expect(await changeRateCard(db, acme.principal, made.id, { priceMinor: 4000 }, {}, clock)).toMatchObject({
    n: 2,
    version: second.version,
  });
  await give(acme, other.subaccount.id, { rateCardId: made.id });
  const prices = async () =>
    Promise.all([one, other].map(async (of) => (await priceOf(acme, of.subaccount.id)).now?.terms.priceMinor));
  expect(await prices()).toEqual([3000, 4000]);
  const versions = await listRateCardVersions(db, acme.principal, made.id, clock);
  expect(versions.map(({ n, accounts }) => [n, accounts])).toEqual([
    [2, 1],
    [1, 1],
  ]);
  await changeRateCard(db, acme.principal, made.id, { priceMinor: 5000, applyToExisting: true }, {}, clock);
  expect(await prices()).toEqual([5000, 5000]);
});

test("its own card, else the plan's price, else the master's default, else none", async () => {
  const master = await make.master();
  const price = { amountMinor: 1900, currency: "EUR" };
  await createPlan(
    db,
    master.principal,
    { name: "Yearly", monthlyLimit: 10, features: {}, price, cycle: "yearly" },
    clock,
  );
  const { subaccount } = await make.subaccount(master, { plan: "Yearly" });
  const label = await make.subaccount(master, { plan: "a label" });
  expect((await priceOf(master, label.subaccount.id)).now).toBeNull();
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({
    source: "plan",
    n: 1,
    terms: { currency: "EUR", priceMinor: 1900, cycle: "year", includedUnits: null, overagePer1000: "0" },
  });
  const standard = await card(master, { isDefault: true });
  expect((await priceOf(master, label.subaccount.id)).now).toMatchObject({ source: "default", terms });
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ source: "plan" });
  await give(master, label.subaccount.id, { discountBp: 500 });
  expect((await priceOf(master, label.subaccount.id)).now).toMatchObject({ source: "default", discountBp: 500 });
  const special = await card(master, { priceMinor: 1 });
  await give(master, subaccount.id, { rateCardId: special.id });
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ source: "card", terms: { priceMinor: 1 } });
  await give(master, subaccount.id, { rateCardId: null });
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ source: "plan" });
  await changeSubaccount(db, master.principal, subaccount.id, { plan: "VIP" }, {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ source: "default" });
  await changeRateCard(db, master.principal, standard.id, { priceMinor: 7 }, {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ n: 1, terms: { priceMinor: 3000 } });
  const next = await card(master, { isDefault: true, priceMinor: 8 });
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ n: 1, terms: { priceMinor: 8 } });
  await expect(withdrawRateCard(db, master.principal, next.id, clock)).rejects.toMatchObject({ kind: "conflict" });
  await changeRateCard(db, master.principal, next.id, { isDefault: false }, {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toBeNull();
});

test("a master's own sending and a sandbox have no price, whatever the default", async () => {
  const master = await make.master();
  const made = await card(master, { isDefault: true });
  const { subaccount: sandbox } = await make.subaccount(master, { sandbox: true });
  for (const id of [sandbox.id, master.master.ownSubaccountId]) {
    expect((await priceOf(master, id)).now).toBeNull();
    await expect(give(master, id, { rateCardId: made.id })).rejects.toMatchObject({ kind: "conflict" });
  }
});

test("a closed subaccount pays nothing until it is reopened", async () => {
  const master = await make.master();
  await card(master, { isDefault: true });
  const { subaccount } = await make.subaccount(master);
  await transitionSubaccount(db, master.principal, subaccount.id, "close", {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toBeNull();
  await transitionSubaccount(db, master.principal, subaccount.id, "archive", {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toBeNull();
  await transitionSubaccount(db, master.principal, subaccount.id, "reopen", {}, clock);
  expect((await priceOf(master, subaccount.id)).now).toMatchObject({ source: "default" });
});

test("a price of the next period rules from its first instant, and can be called off", async () => {
  const made = await card(acme);
  const other = await card(acme, { priceMinor: 9 });
  const { subaccount } = await make.subaccount(acme);
  await give(acme, subaccount.id, { rateCardId: made.id });
  await give(acme, subaccount.id, { rateCardId: other.id, discountBp: 100, from: "next_period" });
  const { end } = periodAt(acme.master.calendar, clock.now());
  const waiting = await priceOf(acme, subaccount.id);
  expect(waiting.now).toMatchObject({ terms: { priceMinor: 3000 }, until: end });
  expect(waiting.next).toMatchObject({ from: end, discountBp: 100, terms: { priceMinor: 9 } });
  await cancelNextPrice(db, acme.principal, { subaccount: subaccount.id }, clock);
  const called = await priceOf(acme, subaccount.id);
  expect(called).toMatchObject({ now: { until: null, from: waiting.now!.from }, next: null });
  await give(acme, subaccount.id, { rateCardId: other.id, from: "next_period" });
  await give(acme, subaccount.id, { discountBp: 1 });
  expect(await priceOf(acme, subaccount.id)).toMatchObject({ now: { discountBp: 1 }, next: null });
});

test("a plan of the next period brings its price with it, whether or not a job has run; called off, it stays away", async () => {
  const master = await make.master();
  const plan = (name: string, amountMinor: number) => {
    const price = { amountMinor, currency: "EUR" };
    return createPlan(db, master.principal, { name, monthlyLimit: 5, features: {}, price, cycle: "monthly" }, clock);
  };
  await plan("Small", 10);
  await plan("Large", 20);
  const { subaccount } = await make.subaccount(master, { plan: "Small" });
  const wanted = { plan: "Large", when: "next_period" } as const;
  await switchPlan(db, master.principal, subaccount.id, wanted, {}, clock);
  const { end } = periodAt(master.master.calendar, clock.now());
  expect((await priceOf(master, subaccount.id)).next).toMatchObject({ from: end, terms: { priceMinor: 20 } });
  await cancelNextPlan(db, master.principal, subaccount.id, clock);
  expect((await priceOf(master, subaccount.id)).next).toBeNull();
  await switchPlan(db, master.principal, subaccount.id, wanted, {}, clock);
  await using next = await later(database, end.getTime() - clock.now().getTime() + 60_000);
  const then = () => readPrice(next.db, master.principal, { subaccount: subaccount.id }, next.clock);
  expect((await then()).now).toMatchObject({ from: end, terms: { priceMinor: 20 } });
  const written = async () => (await readTerms(db, master.master.id, [subaccount.id], null)).own.get(subaccount.id);
  const before = await written();
  expect(await takeNextPlans(next.db, next.clock)).toBeGreaterThan(0);
  expect((await then()).now).toMatchObject({ from: end, terms: { priceMinor: 20 } });
  expect(await written()).toEqual(before);
});

test("cards of others are none, nor are withdrawn ones, nor those of another currency than the billing profile", async () => {
  const stranger = await make.master();
  const [theirs, ours, sold] = [await card(stranger), await card(acme), await card(undefined)];
  const { subaccount } = await make.subaccount(acme);
  const refused = async (rateCardId: RateCardId, text: string) => {
    const change = give(acme, subaccount.id, { rateCardId });
    await expect(change).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/rate_card_id" }] });
    await expect(change).rejects.toThrow(text);
  };
  for (const { id } of [theirs, sold, { id: newId<RateCardId>(clock) }]) await refused(id, "no such rate card");
  const wanted = { rateCardId: ours.id, from: "now" } as const;
  const master = { master: acme.master.id };
  await expect(choosePrice(db, operator, master, wanted, {}, clock)).rejects.toThrow("no such rate card");
  await expect(choosePrice(db, acme.principal, master, wanted, {}, clock)).rejects.toMatchObject({ kind: "forbidden" });
  await createBillingProfile(db, acme.principal, { name: "Swiss", currency: "CHF" }, clock);
  await changeSubaccount(db, acme.principal, subaccount.id, { billingProfile: "Swiss" }, {}, clock);
  await refused(ours.id, "is in EUR, the billing profile Swiss in CHF");
  await changeSubaccount(db, acme.principal, subaccount.id, { billingProfile: null }, {}, clock);
  await give(acme, subaccount.id, { rateCardId: ours.id });
  await withdrawRateCard(db, acme.principal, ours.id, clock);
  await refused(ours.id, "is withdrawn");
  expect((await priceOf(acme, subaccount.id)).now).toMatchObject({ source: "card" });
  await expect(changeRateCard(db, acme.principal, theirs.id, { priceMinor: 1 }, {}, clock)).rejects.toMatchObject({
    kind: "not-found",
  });
  const names = async (of: typeof operator | typeof acme.principal) =>
    (await listRateCards(db, of, { limit: 100 })).map(({ name }) => name);
  expect(await names(operator)).toEqual([sold.name]);
  expect(await names(stranger.principal)).toEqual([theirs.name]);
  expect((await readPrice(db, operator, master, clock)).now).toBeNull();
  await choosePrice(db, operator, master, { rateCardId: sold.id, from: "now" }, {}, clock);
  expect((await readPrice(db, acme.principal, master, clock)).now).toMatchObject({ source: "card", terms });
});

const bad: [name: string, change: object, pointer: string][] = [
  ["a negative price", { priceMinor: -1 }, "/price_minor"],
  ["a float", { priceMinor: 0.5 }, "/price_minor"],
  ["above the bound", { priceMinor: 10_000_000_001 }, "/price_minor"],
  ["2^53", { includedUnits: 2 ** 53 }, "/included_units"],
  ["text", { priceMinor: "3000" }, "/price_minor"],
  ["an unknown currency", { currency: "XXQ" }, "/currency"],
  ["a rate as a number", { overagePer1000: 35 }, "/overage_per_1000"],
  ["a negative rate", { overagePer1000: "-1" }, "/overage_per_1000"],
  ["a rate over zero", { overagePer1000: "1/0" }, "/overage_per_1000"],
  ["a rate with an exponent", { overagePer1000: "1e3" }, "/overage_per_1000"],
  ["a rate above the bound", { overagePer1000: "1000001" }, "/overage_per_1000"],
  ["a negative ceiling", { ceilingMinor: -1 }, "/ceiling_minor"],
  ["another cycle", { cycle: "week" }, "/cycle"],
  ["no name", { name: " " }, "/name"],
];
test.each(bad)("%s is refused", async (_, change, pointer) => {
  await expect(card(acme, change as Partial<NewRateCard>)).rejects.toMatchObject({
    kind: "invalid",
    details: [{ pointer }],
  });
});

test("a discount is whole ten-thousandths up to all of it", async () => {
  const { subaccount } = await make.subaccount(acme);
  for (const discountBp of [-1, 10_001, 0.5, Number.NaN]) {
    await expect(give(acme, subaccount.id, { discountBp })).rejects.toMatchObject({
      details: [{ pointer: "/discount_bp" }],
    });
  }
  await give(acme, subaccount.id, { discountBp: 10_000 });
});

test("what was written stays: neither changed nor removed, by nobody", async () => {
  const made = await card(acme, { isDefault: true });
  for (const statement of [
    "update price_term set discount_bp = 1",
    "delete from price_term",
    "truncate price_term",
    `update rate_card_version set price_minor = 1 where rate_card_id = '${made.id}'`,
  ]) {
    await expect(database.pool.query(statement)).rejects.toThrow("written once");
  }
});

test("of many that become the default at once one is it in the end", async () => {
  const world = await testDatabase({ lockTimeoutMs: 20_000 });
  const master = await tenants(world).master();
  const { principal } = master;
  const names = Array.from({ length: 8 }, (_, i) => `Default ${i}`);
  const made = await Promise.all(
    names.map((name) => createRateCard(world.db, principal, { name, ...terms, isDefault: true }, world.clock)),
  );
  await Promise.all(
    made.map(({ id }) => changeRateCard(world.db, principal, id, { isDefault: true }, {}, world.clock)),
  );
  const cards = await listRateCards(world.db, principal, { limit: 100 });
  expect(cards).toHaveLength(8);
  const defaults = cards.filter(({ defaultN }) => defaultN !== null);
  expect(defaults).toHaveLength(1);
  const { defaults: written } = await readTerms(world.db, master.master.id, [], null);
  expect(inForce(written).at(-1)).toMatchObject({ of: formatId("rat", defaults[0]!.id), until: null });
});

test("new terms for those that have a card are in the audit log with how many they are, also when nothing else changes", async () => {
  const master = await make.master();
  const { principal } = master;
  const { id: rateCardId } = await card(master);
  const { id } = (await make.subaccount(master)).subaccount;
  await give(master, id, { rateCardId });
  await changeRateCard(db, principal, rateCardId, { priceMinor: 4000 }, {}, clock);
  for (const _ of [1, 2]) await changeRateCard(db, principal, rateCardId, { applyToExisting: true }, {}, clock);
  const { rows } = await database.pool.query<{ applied: number | null }>(
    "select (after->>'applied_to')::int as applied from audit_entry where action = 'rate_card.changed' and target = $1 order by id",
    [formatId("rat", rateCardId)],
  );
  expect(rows.map(({ applied }) => applied)).toEqual([null, 1]);
});

test("a price in another currency than the profile's can't be given by a card, and is shown where it comes otherwise", async () => {
  const master = await make.master();
  const { principal } = master;
  await createBillingProfile(db, principal, { name: "Zurich", currency: "CHF", isDefault: true }, clock);
  await card(master, { isDefault: true });
  const { id } = (await make.subaccount(master)).subaccount;
  await expect(give(master, id, { rateCardId: (await card(master)).id })).rejects.toMatchObject({ kind: "invalid" });
  expect(await priceOf(master, id)).toMatchObject({ now: { terms: { currency: "EUR" } }, profileCurrency: "CHF" });
  await createBillingProfile(db, principal, { name: "Berlin", currency: "EUR", isDefault: true }, clock);
  expect((await priceOf(master, id)).profileCurrency).toBe("EUR");
  await changeSubaccount(db, principal, id, { billingProfile: "Zurich" }, {}, clock);
  expect((await priceOf(master, id)).profileCurrency).toBe("CHF");
  await changeSubaccount(db, principal, id, { billingProfile: "a label" }, {}, clock);
  expect((await priceOf(master, id)).profileCurrency).toBeNull();
});

test("of a history without end the newest are shown, and what rules is among them", async () => {
  const master = await make.master();
  const { id } = (await make.subaccount(master)).subaccount;
  await give(master, id, { rateCardId: (await card(master)).id });
  await database.pool.query(
    `insert into price_term (account_id, role, master_id, since, source, of_id, n, discount_bp, terms, written_at)
     select account_id, role, master_id, since + make_interval(secs => i), source, of_id, n, 1 + i % 2, terms, written_at
       from price_term, generate_series(1, 1500) i where account_id = $1`,
    [id],
  );
  const { history } = await priceOf(master, id);
  expect(history).toHaveLength(1000);
  expect(history[0]!.until).toBeNull();
});

test("a discount that is given while the operator's card gets new terms for all keeps those terms", async () => {
  const world = await testDatabase({ lockTimeoutMs: 20_000 });
  const { master } = await tenants(world).master();
  const payer = { master: master.id };
  const sold = await createRateCard(world.db, operator, { name: "Sold", ...terms }, world.clock);
  await choosePrice(world.db, operator, payer, { rateCardId: sold.id, from: "now" }, {}, world.clock);
  const given = await world.db.transaction().execute(async (trx) => {
    await changeRateCard(trx, operator, sold.id, { priceMinor: 4000, applyToExisting: true }, {}, world.clock);
    const discount = choosePrice(world.db, operator, payer, { discountBp: 500, from: "now" }, {}, world.clock);
    await waiting(world);
    return [discount]; // as an array: who returns a promise waits for it
  });
  await Promise.all(given);
  const { now } = await readPrice(world.db, operator, payer, world.clock);
  expect(now).toMatchObject({ n: 2, discountBp: 500, terms: { priceMinor: 4000 } });
});

/** Until a statement waits for another's lock. */
async function waiting({ pool }: typeof database): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await pool.query(
      "select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database() limit 1",
    );
    expect(rowCount).toBe(1);
  });
}

test("versions say how many accounts have each, and those that went on to another card no more", async () => {
  const master = await make.master();
  const [first, second] = [await card(master), await card(master)];
  const { id } = (await make.subaccount(master)).subaccount;
  await give(master, id, { rateCardId: first.id });
  await give(master, id, { rateCardId: second.id, from: "next_period" });
  const counts = async (at: typeof clock) =>
    Promise.all(
      [first, second].map(async (one) => (await listRateCardVersions(db, master.principal, one.id, at))[0]!.accounts),
    );
  expect(await counts(clock)).toEqual([1, 1]);
  await give(master, (await make.subaccount(master)).subaccount.id, { rateCardId: second.id });
  await give(master, id, { rateCardId: second.id, from: "next_period" });
  expect(await counts(clock)).toEqual([1, 2]);
  const next = periodAt(master.master.calendar, clock.now()).end;
  expect(await counts({ ...clock, now: () => next })).toEqual([0, 2]);
});

async function race(world: typeof database) {
  const tenant = tenants(world);
  const master = await tenant.master();
  const cards = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      createRateCard(world.db, master.principal, { name: `Race ${i}`, ...terms, priceMinor: i }, world.clock),
    ),
  );
  const { subaccount } = await tenant.subaccount(master);
  await Promise.all(
    cards.map(({ id: rateCardId }, i) => {
      const from = i % 3 === 0 ? "next_period" : "now";
      const payer = { subaccount: subaccount.id };
      return choosePrice(world.db, master.principal, payer, { rateCardId, from }, {}, world.clock);
    }),
  );
  const { choice, now } = await readPrice(world.db, master.principal, { subaccount: subaccount.id }, world.clock);
  const written = (await readTerms(world.db, master.master.id, [subaccount.id], null)).own.get(subaccount.id) ?? [];
  return { choice, now, written };
}

test("twenty choices at once leave one chain, without gap and overlap, and it says what was chosen last", async () => {
  const { choice, now, written } = await race(await testDatabase({ lockTimeoutMs: 20_000 }));
  const chain = inForce(written);
  expect(
    chain.every(({ since, until }, i) => until === (chain[i + 1]?.since ?? null) && (until === null || since < until)),
  ).toBe(true);
  expect(now).toMatchObject({ n: choice.now.n, of: expect.stringMatching(/^rat_/) });
  const last = chain.at(-1)!;
  expect(last.since <= clock.now()).toBe(choice.next === null);
});

test("control: terms that follow nothing leave no history", async () => {
  const world = await testDatabase({ lockTimeoutMs: 20_000 });
  await mutateFunction(world, "sync_price", { from: "is distinct from", to: "is not distinct from" });
  expect((await race(world)).now).toBeNull();
});
