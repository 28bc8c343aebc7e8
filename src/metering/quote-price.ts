/**
 * What a change of price or plan would come to: the change itself, in a transaction that is rolled back.
 *
 * Invariant: nothing is stored. What is due now is what the running period's amount moves by when the same change is made in the same
 * second: both are reckoned by `priceOf` from the terms that the change would write.
 * On failure: the Fault of the change.
 */
import { sql } from "kysely";
import { lockAllowance } from "../accounts/allocation.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { switchPlan } from "../accounts/switch-plan.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { invalid } from "../platform/errors.ts";
import type { AccountId, MasterId } from "../platform/ids.ts";
import { type Priced, priceOf } from "../prices/amounts.ts";
import { choosePrice, type Payer, type PriceChange } from "../prices/choose-price.ts";
import { type Fee, type Segment, secondsBetween, yearsAfter } from "../prices/fees.ts";
import { asNumber, roundHalfUp } from "../prices/money.ts";
import { type PayerFound, payerOf, profileCurrencyOf, readSegments } from "../prices/read-price.ts";
import { wholeSecond } from "../prices/segments.ts";
import { readCounters, readMasterCounters } from "./counters.ts";
import { type Period, periodAt } from "./period.ts";

export type QuoteRequest = PriceChange &
  Readonly<{
    /** The name of a plan, for a subaccount. */
    plan?: string | undefined;
    /** Instead of the plan's. */
    monthlyLimit?: number | null | undefined;
  }>;

/** Of a cycle that the change cuts: what the new terms ask for the rest, and what the old ones don't ask any more; without discounts. */
export type Proration = Readonly<{
  from: Date;
  until: Date;
  seconds: number;
  /** Of the whole cycle. */
  ofSeconds: number;
  amountMinor: number;
  creditedMinor: number;
  creditedCurrency: string | null;
}>;

export type Quote = Readonly<{
  /** Null: no price would rule, and what is due is in the currency of before. */
  currency: string | null;
  /** Per cycle: value - discount = pricePerCycle. */
  valueMinor: number;
  discountMinor: number;
  pricePerCycleMinor: number;
  /** Null: nothing changes within the running period. */
  proration: Proration | null;
  /** By what the running period's overage and discount move, in `currency`. */
  overageChangeMinor: number;
  discountChangeMinor: number;
  /** In `currency`. */
  dueNowMinor: number;
  /** In every currency that moves. */
  due: readonly Readonly<{ currency: string; amountMinor: number }>[];
  /** When the price per cycle is next asked whole; null: never. */
  nextCycleAt: Date | null;
  /** Of the billing profile that a subaccount's bill stands under; null: of none, or a master. */
  profileCurrency: string | null;
}>;

class RolledBack extends Error {
  readonly quote: Quote;
  constructor(quote: Quote) {
    super("rolled back");
    this.quote = quote;
  }
}

/** @throws Fault as the change would */
export async function quotePrice(
  db: Db,
  principal: Principal,
  payer: Payer,
  wanted: QuoteRequest,
  clock: Clock,
): Promise<Quote> {
  try {
    return await db.transaction().execute(async (trx): Promise<never> => {
      throw new RolledBack(await tryChange(trx, principal, payer, wanted, clock));
    });
  } catch (error) {
    if (error instanceof RolledBack) return error.quote;
    throw error;
  }
}

async function tryChange(
  trx: Db,
  principal: Principal,
  payer: Payer,
  wanted: QuoteRequest,
  clock: Clock,
): Promise<Quote> {
  const locked = await lockPayer(trx, principal, payer, wanted, clock);
  const account = payerOf(locked);
  const period = periodAt(locked.calendar, clock.now());
  const before = await readSegments(trx, account, null);
  await apply(trx, principal, payer, wanted, clock);
  await sql`set constraints choice_syncs_price, plan_syncs_price immediate`.execute(trx);
  const after = await readSegments(trx, account, null);
  const units = await readPaidUnits(trx, account, period);
  const at = wanted.from === "now" ? clock.now() : period.end;
  const profileCurrency = await profileCurrencyOf(trx, locked);
  return quoteOf({ before, after, period, units, at, profileCurrency });
}

/** With a plan as its switch locks: the allowance before the account. */
async function lockPayer(trx: Db, principal: Principal, payer: Payer, { plan }: QuoteRequest, clock: Clock) {
  if ("master" in payer) return findMaster(trx, principal, payer.master, clock, "change");
  const { id, masterId } = await findSubaccount(trx, principal, payer.subaccount, clock);
  if (plan !== undefined && principal.kind !== "subaccount") await lockAllowance(trx, principal, masterId, clock);
  return findSubaccount(trx, principal, id, clock, "change");
}

async function apply(trx: Db, principal: Principal, payer: Payer, wanted: QuoteRequest, clock: Clock): Promise<void> {
  const { plan, monthlyLimit, rateCardId, discountBp, from } = wanted;
  if (plan !== undefined) {
    if ("master" in payer) throw invalid("/plan", "A master has no plan: give it a rate card.");
    await switchPlan(trx, principal, payer.subaccount, { plan, when: from, monthlyLimit }, {}, clock);
  }
  if (plan !== undefined && rateCardId === undefined && discountBp === undefined) return;
  await choosePrice(trx, principal, payer, { rateCardId, discountBp, from }, {}, clock);
}

/** What an account has to pay for by now: accepted, corrected, less what credits have paid. */
export async function readPaidUnits(db: Db, { id, masterId, bornAt }: PayerFound, period: Period): Promise<number> {
  if (bornAt === null) {
    const { used, corrections, creditUsed } = await readMasterCounters(db, masterId, period);
    return used + corrections - creditUsed;
  }
  const counters = await readCounters(db, [{ id: id as Exclude<AccountId, MasterId>, masterId, period }]);
  const { used, corrections, creditUsed } = counters.get(id as Exclude<AccountId, MasterId>)!;
  return used + corrections - creditUsed;
}

type Facts = Readonly<{
  before: readonly Segment[];
  after: readonly Segment[];
  period: Period;
  units: number;
  /** When the change begins. */
  at: Date;
  profileCurrency: string | null;
}>;

/** Pure. */
export function quoteOf({ before, after, period, units, at, profileCurrency }: Facts): Quote {
  const change = changeAt(before, after, at);
  const { ruling } = change;
  const [was, is] = [priceOf(before, period, units), priceOf(after, period, units)];
  const due = dueOf(was, is);
  const currency = ruling?.terms.currency ?? null;
  const main = currency ?? due[0]?.currency;
  const moved = (member: "overageMinor" | "discountMinor" | "totalMinor") =>
    amountIn(is, main, member) - amountIn(was, main, member);
  return {
    currency,
    ...perCycle(ruling),
    proration: prorationOf(was.fees, is.fees, change, period),
    overageChangeMinor: moved("overageMinor"),
    discountChangeMinor: moved("discountMinor"),
    dueNowMinor: moved("totalMinor"),
    due,
    nextCycleAt: ruling === undefined ? null : nextCycle(ruling, period, at),
    profileCurrency,
  };
}

function perCycle(ruling: Segment | undefined) {
  const valueMinor = ruling?.terms.priceMinor ?? 0;
  const numerator = BigInt(valueMinor) * BigInt(ruling?.discountBp ?? 0);
  const discountMinor = asNumber(roundHalfUp({ numerator, denominator: 10_000n }));
  return { valueMinor, discountMinor, pricePerCycleMinor: valueMinor - discountMinor };
}

function amountIn(of: Priced, currency: string | undefined, member: "overageMinor" | "discountMinor" | "totalMinor") {
  return of.amounts.find((one) => one.currency === currency)?.[member] ?? 0;
}

function dueOf(was: Priced, is: Priced): Quote["due"] {
  const currencies = [...new Set([...was.amounts, ...is.amounts].map(({ currency }) => currency))].sort();
  return currencies
    .map((currency) => ({
      currency,
      amountMinor: amountIn(is, currency, "totalMinor") - amountIn(was, currency, "totalMinor"),
    }))
    .filter(({ amountMinor }) => amountMinor !== 0);
}

/** Fees that stand on one side alone: those of the new terms, and of the old ones in what they lose. */
function prorationOf(was: readonly Fee[], is: readonly Fee[], change: Change, period: Period): Proration | null {
  const { ruling, ruled } = change;
  const mine = is.filter(({ segment, kind }) => segment === ruling && segment !== ruled && kind !== "refund");
  const rest = is.filter((fee) => !mine.includes(fee));
  const sum = (fees: readonly Fee[]) => fees.reduce((total, { amount }) => total + amount, 0n);
  const credited = sum(was) - sum(rest);
  const begun = mine[0];
  const given = rest.findLast(({ kind, segment }) => kind === "refund" && segment.until?.getTime() === change.from);
  if (begun === undefined && credited === 0n) return null;
  const { from, until } = begun ?? given ?? { from: new Date(change.from), until: period.end };
  const yearly = (begun ?? given)?.segment.terms.cycle === "year" ? (begun ?? given)?.segment : undefined;
  const cycle = yearly === undefined ? period : yearOf(yearly, from);
  return {
    from,
    until,
    seconds: asNumber(secondsBetween(from, until)),
    ofSeconds: asNumber(secondsBetween(cycle.start, cycle.end)),
    amountMinor: asNumber(sum(mine)),
    creditedMinor: asNumber(credited),
    creditedCurrency: credited === 0n ? null : (ruled?.terms.currency ?? null),
  };
}

/** `ruled`: what was in force; the same where it goes on. `from`: in milliseconds, a whole second. */
type Change = Readonly<{ ruling: Segment | undefined; ruled: Segment | undefined; from: number }>;

function changeAt(before: readonly Segment[], after: readonly Segment[], at: Date): Change {
  const inForce = (all: readonly Segment[]) =>
    all.find((one) => one.from <= at && (one.until === null || one.until > at));
  const [was, ruling] = [inForce(before), inForce(after)];
  const goesOn = was !== undefined && ruling !== undefined && isSame(was, ruling);
  return { ruling, ruled: goesOn ? ruling : was, from: wholeSecond(at).getTime() };
}

function isSame(one: Segment, other: Segment): boolean {
  return one.from.getTime() === other.from.getTime() && one.of === other.of && one.n === other.n;
}

function nextCycle(ruling: Segment, period: Period, at: Date): Date {
  if (at >= period.end) return at;
  return ruling.terms.cycle === "month" ? period.end : yearOf(ruling, at).end;
}

/** Of a yearly price, the year that holds that instant. */
function yearOf({ from }: Segment, at: Date): Period {
  let n = Math.max(0, at.getUTCFullYear() - from.getUTCFullYear() - 1);
  while (yearsAfter(from, n + 1) <= at) n += 1;
  return { start: yearsAfter(from, n), end: yearsAfter(from, n + 1) };
}
