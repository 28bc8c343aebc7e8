/** Changes of all kinds at random instants over years: the history stays what it was, and the periods sum to what the time costs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { findSubaccount } from "../../src/accounts/find.ts";
import { createPlan } from "../../src/accounts/plans.ts";
import { cancelNextPlan, switchPlan } from "../../src/accounts/switch-plan.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { nextPeriod, type Period, periodAt } from "../../src/metering/period.ts";
import { quotePrice } from "../../src/metering/quote-price.ts";
import { listStatements, readStatement } from "../../src/metering/read-statement.ts";
import { accountPrice } from "../../src/metering/statement-amounts.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { formatId } from "../../src/platform/ids.ts";
import { priceOf } from "../../src/prices/amounts.ts";
import { cancelNextPrice, choosePrice } from "../../src/prices/choose-price.ts";
import type { Segment } from "../../src/prices/fees.ts";
import { changeRateCard, createRateCard } from "../../src/prices/rate-cards.ts";
import { payerOf, readPrice, readSegments } from "../../src/prices/read-price.ts";
import { stoppedClock } from "../support/stopped-clock.ts";
import { operator, tenants } from "../support/tenants.ts";

const START = new Date("2026-01-31T12:34:56Z");
const world = await stoppedClock(START);
const { db, clock } = world;
const make = tenants({ db, clock });

type Step = Readonly<{ seconds: number; kind: number; which: number; discountBp: number; later: boolean }>;
const step: fc.Arbitrary<Step> = fc.record({
  seconds: fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 70 * 86_400 })),
  kind: fc.nat(8),
  which: fc.nat(2),
  discountBp: fc.constantFrom(0, 0, 333, 10_000),
  later: fc.boolean(),
});

const prices = [
  { currency: "EUR", priceMinor: 2999, cycle: "month", includedUnits: 7, overagePer1000: "1/3", ceilingMinor: null },
  { currency: "EUR", priceMinor: 36_501, cycle: "year", includedUnits: null, overagePer1000: "0", ceilingMinor: null },
  { currency: "JPY", priceMinor: 777, cycle: "month", includedUnits: 0, overagePer1000: "9", ceilingMinor: 5 },
] as const;

async function shop() {
  await world.set(START);
  const master = await make.master({ timeZone: "Europe/Berlin", anchorDay: 31 });
  const { principal } = master;
  const cards = [];
  for (const [i, terms] of prices.entries()) {
    cards.push(await createRateCard(db, principal, { name: `Card ${i}`, ...terms }, clock));
  }
  const plans = [
    ["Plan 0", { amountMinor: 1001, currency: "EUR" }, "monthly"],
    ["Plan 1", { amountMinor: 12_007, currency: "EUR" }, "yearly"],
    ["Plan 2", null, "monthly"],
  ] as const;
  for (const [name, price, cycle] of plans) {
    await createPlan(db, principal, { name, monthlyLimit: 5, features: {}, price, cycle }, clock);
  }
  const { subaccount } = await make.subaccount(master);
  return { master, principal, cards, id: subaccount.id };
}

type Shop = Awaited<ReturnType<typeof shop>>;

/** One change; what the state of things does not allow is left out. */
async function take({ principal, cards, id }: Shop, { kind, which, discountBp, later }: Step): Promise<void> {
  const from = later ? "next_period" : "now";
  const card = cards[which]!;
  const payer = { subaccount: id };
  const change = async () => {
    switch (kind) {
      case 0:
      case 1:
        return choosePrice(db, principal, payer, { rateCardId: card.id, discountBp, from }, {}, clock);
      case 2:
        return choosePrice(db, principal, payer, { rateCardId: null, from }, {}, clock);
      case 3:
        return cancelNextPrice(db, principal, payer, clock);
      case 4:
        return switchPlan(db, principal, id, { plan: `Plan ${which}`, when: from }, {}, clock);
      case 5:
        return cancelNextPlan(db, principal, id, clock);
      case 6:
        return changeRateCard(db, principal, card.id, { isDefault: later }, {}, clock);
      case 7: {
        const patch = { priceMinor: 1000 + discountBp + which, applyToExisting: later };
        return changeRateCard(db, principal, card.id, patch, {}, clock);
      }
      default:
        return transitionSubaccount(db, principal, id, later ? "close" : "reopen", {}, clock);
    }
  };
  await change().catch((error: { kind?: string }) => expect(["conflict", "forbidden"]).toContain(error.kind));
}

const facts = (one: Segment | null | undefined) =>
  one && [one.source, one.of, one.n, one.discountBp, JSON.stringify(one.terms)];
const at = (segments: readonly Segment[], instant: Date) =>
  segments.find((one) => one.from <= instant && (one.until === null || one.until > instant));

async function segmentsOf({ principal, id }: Shop): Promise<Segment[]> {
  return readSegments(db, payerOf(await findSubaccount(db, principal, id, clock)), null);
}

/** By another way: what each of the terms costs from its begin to its end, or to the end of all that is looked at. */
function costOf(segments: readonly Segment[], periods: readonly Period[]): Map<string, bigint> {
  const costs = new Map<string, bigint>();
  const add = (currency: string, amount: bigint) => costs.set(currency, (costs.get(currency) ?? 0n) + amount);
  const half = (numerator: bigint, denominator: bigint) => (2n * numerator + denominator) / (2n * denominator);
  const end = periods.at(-1)!.end.getTime();
  for (const { from, until, terms } of segments) {
    const [a, b] = [from.getTime(), Math.min(until?.getTime() ?? end, end)];
    const price = BigInt(terms.priceMinor);
    if (terms.cycle === "month") {
      for (const period of periods) {
        const [start, stop] = [period.start.getTime(), period.end.getTime()];
        const upTo = (ms: number) =>
          half(price * BigInt(Math.min(Math.max(ms, start), stop) - start), BigInt(stop - start));
        if (b > start && a < stop) add(terms.currency, upTo(b) - upTo(a));
      }
      continue;
    }
    for (let year = new Date(from); year.getTime() < b; ) {
      const next = new Date(year);
      next.setUTCFullYear(year.getUTCFullYear() + 1);
      const ended = until !== null && until.getTime() < Math.min(next.getTime(), end);
      const part = half(price * BigInt(b - year.getTime()), BigInt(next.getTime() - year.getTime()));
      add(terms.currency, ended ? part : price);
      year = next;
    }
  }
  return costs;
}

function periodsFrom({ master }: Shop, until: Date): Period[] {
  const { calendar } = master.master;
  const periods = [periodAt(calendar, START)];
  while (periods.at(-1)!.end <= until) periods.push(nextPeriod(calendar, periods.at(-1)!));
  return periods;
}

/** The fees of all periods, by currency; on the way each amount is looked at. */
function feesOver(segments: readonly Segment[], periods: readonly Period[]): Map<string, bigint> {
  const fees = new Map<string, bigint>();
  for (const period of periods) {
    const priced = priceOf(segments, period, 20);
    for (const { amount, segment } of priced.fees) {
      const { currency } = segment.terms;
      fees.set(currency, (fees.get(currency) ?? 0n) + amount);
    }
    for (const { currency: _, ...amount } of priced.amounts) {
      expect(Object.values(amount).every(Number.isSafeInteger)).toBe(true);
      const { feeMinor, overageMinor, discountMinor, totalMinor } = amount;
      expect(feeMinor + overageMinor - discountMinor).toBe(totalMinor);
      if (totalMinor < 0) expect(priced.fees.map(({ kind }) => kind)).toContain("refund");
    }
  }
  return fees;
}

const nonzero = (of: Map<string, bigint>) => new Map([...of].filter(([, sum]) => sum !== 0n).sort());

function expectChain(segments: readonly Segment[]): void {
  for (const [i, { from, until }] of segments.entries()) {
    const next = segments[i + 1];
    expect(until === null || from < until).toBe(true);
    if (next !== undefined) expect(until !== null && until <= next.from).toBe(true);
  }
}

test("what ruled once has ruled, and all periods together cost what the time costs", async () => {
  let changes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 16 }), async (steps) => {
      const it = await shop();
      const seen: [Date, ReturnType<typeof facts>][] = [];
      for (const one of steps) {
        await world.set(new Date(clock.now().getTime() + one.seconds * 1000 + (one.which === 1 ? 345 : 0)));
        await take(it, one);
        changes += 1;
        const { now } = await readPrice(db, it.principal, { subaccount: it.id }, clock);
        if (seen.at(-1)?.[0].getTime() === Math.floor(clock.now().getTime() / 1000) * 1000) seen.pop();
        seen.push([new Date(Math.floor(clock.now().getTime() / 1000) * 1000), facts(now)]);
      }
      const segments = await segmentsOf(it);
      for (const [instant, ruled] of seen) expect(facts(at(segments, instant)) ?? null).toEqual(ruled ?? null);
      expectChain(segments);
      const periods = periodsFrom(it, clock.now());
      expect(nonzero(feesOver(segments, periods))).toEqual(nonzero(costOf(segments, periods)));
    }),
    { seed: 20_261_127, numRuns: 16 },
  );
  expect(changes).toBeGreaterThan(100);
}, 120_000);

test("a quote at any moment is what the running period moves by, and what is closed says the same", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 8 }), fc.nat(2), async (steps, which) => {
      const it = await shop();
      for (const one of steps) {
        await world.set(new Date(clock.now().getTime() + one.seconds * 1000));
        await take(it, one);
      }
      const { state } = await findSubaccount(db, it.principal, it.id, clock);
      const period = periodAt(it.master.master.calendar, clock.now());
      const totals = async () => {
        const { lines } = await readStatement(db, it.principal, "current", clock);
        const amounts = lines.find(({ subaccountId }) => subaccountId === it.id)?.price?.amounts ?? [];
        return new Map(amounts.map(({ currency, totalMinor }) => [currency, totalMinor]));
      };
      const before = await totals();
      const wanted = { rateCardId: it.cards[which]!.id, discountBp: 1234, from: "now" } as const;
      const quote = await quotePrice(db, it.principal, { subaccount: it.id }, wanted, clock);
      await choosePrice(db, it.principal, { subaccount: it.id }, wanted, {}, clock);
      const after = await totals();
      const moved = [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((currency) => {
        const amountMinor = (after.get(currency) ?? 0) - (before.get(currency) ?? 0);
        return amountMinor === 0 ? [] : [{ currency, amountMinor }];
      });
      if (state !== "closed") expect(quote.due).toEqual(moved);
      const segments = await segmentsOf(it);
      await world.set(new Date(period.end.getTime() + 1000));
      await closeMaster(db, it.master.master.id, { clock });
      const summaries = await listStatements(db, operator, { masterId: it.master.master.id, limit: 100 }, clock);
      for (const { id, period: closed } of summaries) {
        const statement = await readStatement(db, it.principal, formatId("stm", id!), clock);
        const line = statement.lines.find(({ subaccountId }) => subaccountId === (it.id as SubaccountId));
        if (line === undefined) continue;
        const expected = accountPrice(segments, closed, { units: 0, corrections: 0, credits: 0 });
        expect(line.price?.amounts ?? []).toEqual(expected?.amounts ?? []);
      }
    }),
    { seed: 42, numRuns: 8 },
  );
  await world.set("2040-01-01T00:00:00Z"); // behind all that was played
  expect((await verifyLedger(db, clock)).differences).toEqual([]);
}, 120_000);
