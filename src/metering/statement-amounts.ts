/**
 * What a statement asks, what each subaccount costs its master, and what is left.
 *
 * Invariant: pure. An account pays for its units and corrections less what credits have paid, by the terms that ruled. The
 * operator's total is shared by the lines to the smallest unit, by what they have to pay for; a margin is a line's price less its
 * cost, where both are in one currency and the same.
 */
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { type Amount, priceOf } from "../prices/amounts.ts";
import type { Segment } from "../prices/fees.ts";
import { asNumber, shares } from "../prices/money.ts";
import type { Period } from "./period.ts";

/** What an account pays for a period, and by which terms. */
export type AccountPrice = Readonly<{
  segments: readonly Segment[];
  /** Null: all, or nothing was in force. */
  includedUnits: number | null;
  /** Above those. */
  unitsAbove: number;
  /** One for each currency. */
  amounts: readonly Amount[];
}>;

/** In the currency's smallest unit. */
export type Money = Readonly<{ currency: string; minor: number }>;

export type LinePrice = Readonly<{
  /** What the master asks of it; null: nothing, since it has no price. */
  price: AccountPrice | null;
  /** Its share of what the operator asks of the master, in each currency. */
  costs: readonly Money[];
  /** Null: not in one currency, or one of both is missing. */
  margin: Money | null;
}>;

export const NO_PRICE: LinePrice = { price: null, costs: [], margin: null };

type Payer = SubaccountId | MasterId;
type Paid = Readonly<{ units: number; corrections: number; credits: number }>;

/** What is paid for; below zero more was taken back than used. */
export function paidUnits({ units, corrections, credits }: Paid): number {
  return units + corrections - credits;
}

/** Undefined: no terms ruled in the period, or ended with its start. */
export function accountPrice(segments: readonly Segment[], period: Period, paid: Paid): AccountPrice | undefined {
  const ruling = segments.filter((one) => one.from < period.end && (one.until === null || one.until >= period.start));
  const { includedUnits, overageUnits: unitsAbove, amounts } = priceOf(ruling, period, paidUnits(paid));
  return amounts.length === 0 ? undefined : { segments: ruling, includedUnits, unitsAbove, amounts };
}

type Line = Paid & Readonly<{ subaccountId: SubaccountId }>;

/** The prices that are known, with costs and margins. */
export function withPrices<S extends { masterId: MasterId; lines: readonly L[] }, L extends Line>(
  statement: S,
  prices: ReadonlyMap<Payer, AccountPrice>,
): Omit<S, "lines"> & { price: AccountPrice | null; lines: (L & LinePrice)[] } {
  const price = prices.get(statement.masterId) ?? null;
  const costs = costsOf(price, statement.lines);
  const lines = statement.lines.map((line, i) => {
    const own = prices.get(line.subaccountId) ?? null;
    const cost = costs[i] ?? [];
    return { ...line, price: own, costs: cost, margin: marginOf(own, cost) };
  });
  return { ...statement, price, lines };
}

function costsOf(price: AccountPrice | null, lines: readonly Line[]): Money[][] {
  const weights = lines.map((line) => BigInt(Math.max(0, paidUnits(line))));
  const parts = (price?.amounts ?? []).map(({ currency, totalMinor }) => ({
    currency,
    shares: shares(BigInt(totalMinor), weights),
  }));
  return lines.map((_, i) => parts.map((part) => ({ currency: part.currency, minor: asNumber(part.shares[i] ?? 0n) })));
}

function marginOf(price: AccountPrice | null, costs: readonly Money[]): Money | null {
  const [amount, ...more] = price?.amounts ?? [];
  const [cost, ...others] = costs;
  if (amount === undefined || cost === undefined || more.length + others.length > 0) return null;
  return amount.currency === cost.currency
    ? { currency: cost.currency, minor: asNumber(BigInt(amount.totalMinor) - BigInt(cost.minor)) }
    : null;
}

/** By currency, in their order. */
export function sumMoney(all: Iterable<Money>): Money[] {
  const sums = new Map<string, bigint>();
  for (const { currency, minor } of all) sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(minor));
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([currency, sum]) => ({ currency, minor: asNumber(sum) }));
}

export function totalsOf(price: AccountPrice | null): Money[] {
  return (price?.amounts ?? []).map(({ currency, totalMinor: minor }) => ({ currency, minor }));
}

/** For the hash: one row for each amount, with the terms of its account. */
export function amountRows(payer: Payer | null, price: AccountPrice | null): unknown[][] {
  if (price === null) return [];
  const terms = price.segments.map(({ from, until, source, of, n, discountBp, terms: t }) => {
    const span = [from, until, source, of, n, discountBp];
    return [...span, t.currency, t.priceMinor, t.cycle, t.includedUnits, t.overagePer1000, t.ceilingMinor];
  });
  return price.amounts.map(({ currency, feeMinor, overageMinor, discountMinor, totalMinor }) => {
    return ["amount", payer, currency, feeMinor, overageMinor, discountMinor, totalMinor, terms];
  });
}
