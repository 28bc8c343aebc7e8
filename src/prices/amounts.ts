/**
 * What an account pays for a period: its fees, its units above those included, its discount.
 *
 * Fees are rounded each, the overage once, the discount once for each currency; the total is their sum. Included units are those
 * of each part of the period by the second, together and rounded down; rate and ceiling are those of the terms that ruled last.
 *
 * Invariant: pure; the total is fee + overage - discount, and never falls when units are added.
 */
import type { Period } from "../metering/period.ts";
import { type Fee, feesIn, type Segment, secondsBetween, within } from "./fees.ts";
import { asNumber, floorOf, roundHalfUp } from "./money.ts";
import { type PriceTerms, parseRate } from "./terms.ts";

export type Amount = Readonly<{
  currency: string;
  feeMinor: number;
  overageMinor: number;
  /** Taken off: fee + overage - discount = total. */
  discountMinor: number;
  totalMinor: number;
}>;

export type Priced = Readonly<{
  /** Null: all, or nothing was in force. */
  includedUnits: number | null;
  overageUnits: number;
  fees: readonly Fee[];
  /** One for each currency, in their order; most have one. */
  amounts: readonly Amount[];
}>;

/** @param units what is paid for: accepted, corrected, less what credits have paid. Below zero it is nothing. */
export function priceOf(segments: readonly Segment[], period: Period, units: number): Priced {
  const fees = feesIn(segments, period);
  const includedUnits = includedIn(segments, period);
  const overageUnits = includedUnits === null ? 0 : Math.max(0, units - includedUnits);
  const sums = new Map<string, Sum>();
  const sumOf = (currency: string) => {
    const sum = sums.get(currency) ?? { fee: 0n, overage: 0n, discounted: 0n };
    sums.set(currency, sum);
    return sum;
  };
  for (const { amount, segment } of fees) {
    const sum = sumOf(segment.terms.currency);
    sum.fee += amount;
    sum.discounted += amount * BigInt(segment.discountBp);
  }
  const last = lastIn(segments, period);
  if (last !== undefined) {
    const sum = sumOf(last.terms.currency);
    sum.overage = overageOf(last.terms, overageUnits);
    sum.discounted += sum.overage * BigInt(last.discountBp);
  }
  const amounts = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([currency, sum]) => amountOf(currency, sum));
  return { includedUnits, overageUnits, fees, amounts };
}

/** `discounted`: in ten-thousandths. */
type Sum = { fee: bigint; overage: bigint; discounted: bigint };

function amountOf(currency: string, { fee, overage, discounted }: Sum): Amount {
  const discount = roundHalfUp({ numerator: discounted, denominator: 10_000n });
  return {
    currency,
    feeMinor: asNumber(fee),
    overageMinor: asNumber(overage),
    discountMinor: asNumber(discount),
    totalMinor: asNumber(fee + overage - discount),
  };
}

/** Those that ruled last within the period. */
function lastIn(segments: readonly Segment[], period: Period): Segment | undefined {
  return segments.findLast((segment) => within(segment, period) !== undefined);
}

function includedIn(segments: readonly Segment[], period: Period): number | null {
  let numerator = 0n;
  let ruled = false;
  for (const segment of segments) {
    const part = within(segment, period);
    if (part === undefined) continue;
    const { includedUnits } = segment.terms;
    if (includedUnits === null) return null;
    ruled = true;
    numerator += BigInt(includedUnits) * secondsBetween(part.start, part.end);
  }
  const denominator = secondsBetween(period.start, period.end);
  return ruled ? asNumber(floorOf({ numerator, denominator })) : null;
}

/** What so many units above those included cost. */
export function overageOf({ overagePer1000, ceilingMinor }: PriceTerms, units: number): bigint {
  const rate = parseRate(overagePer1000);
  if (rate === undefined) throw new RangeError("a rate that is none");
  const { numerator, denominator } = rate;
  const cost = roundHalfUp({ numerator: numerator * BigInt(units), denominator: denominator * 1000n });
  return ceilingMinor !== null && cost > BigInt(ceilingMinor) ? BigInt(ceilingMinor) : cost;
}
