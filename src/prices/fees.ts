/**
 * The price per cycle, as it falls on a period.
 *
 * A monthly price is that of a period: each part of it costs its part by the second, and the parts of a period sum to the price
 * wherever it is cut. A yearly price is asked at once, in the period in which a year begins; years are counted from the
 * instant at which the terms came in force, in UTC. Where terms end within a year, what is left of it by the second is given
 * back in the period in which they end.
 *
 * Invariant: pure. Of terms that rule from an instant to another the fees of all periods sum to what that time costs.
 */
import type { Period } from "../metering/period.ts";
import { roundHalfUp } from "./money.ts";
import type { PriceTerms } from "./terms.ts";

/** Terms in force in `[from, until)`, both on whole seconds; null: to the end, as far as is known. */
export type Segment = Readonly<{
  from: Date;
  until: Date | null;
  /** What they are of: a card given to the account, its plan, or its master's default. */
  source: "card" | "plan" | "default";
  /** TypeID of the card or plan, and its version. */
  of: string;
  n: number;
  discountBp: number;
  terms: PriceTerms;
}>;

/** `part`: of a period or a year in which the terms changed. Below zero: given back. */
export type Fee = Readonly<{
  kind: "cycle" | "part" | "refund";
  from: Date;
  until: Date;
  amount: bigint;
  segment: Segment;
}>;

export function feesIn(segments: readonly Segment[], period: Period): Fee[] {
  return segments.flatMap((segment) =>
    segment.terms.cycle === "month" ? monthly(segment, period) : yearly(segment, period),
  );
}

/** What of the period a segment rules; undefined: nothing. */
export function within({ from, until }: Pick<Segment, "from" | "until">, period: Period): Period | undefined {
  const start = from > period.start ? from : period.start;
  const end = until !== null && until < period.end ? until : period.end;
  return start < end ? { start, end } : undefined;
}

/** From one instant to another. */
export function secondsBetween(from: Date, to: Date): bigint {
  return BigInt(Math.floor((to.getTime() - from.getTime()) / 1000));
}

function monthly(segment: Segment, period: Period): Fee[] {
  const ruled = within(segment, period);
  if (ruled === undefined) return [];
  const upTo = (at: Date) => costUpTo(segment.terms, period, at);
  const amount = upTo(ruled.end) - upTo(ruled.start);
  const whole = ruled.start.getTime() === period.start.getTime() && ruled.end.getTime() === period.end.getTime();
  return [{ kind: whole ? "cycle" : "part", from: ruled.start, until: ruled.end, amount, segment }];
}

/** From the cycle's start to an instant within it. */
function costUpTo({ priceMinor }: PriceTerms, { start, end }: Period, at: Date): bigint {
  const numerator = BigInt(priceMinor) * secondsBetween(start, at);
  return roundHalfUp({ numerator, denominator: secondsBetween(start, end) });
}

function yearly(segment: Segment, period: Period): Fee[] {
  const { from, until, terms } = segment;
  const fees: Fee[] = [];
  const first = Math.max(0, period.start.getUTCFullYear() - from.getUTCFullYear() - 1);
  for (let n = first; ; n += 1) {
    const year = { start: yearsAfter(from, n), end: yearsAfter(from, n + 1) };
    if (year.start >= period.end || (until !== null && year.start >= until)) return fees;
    const price = BigInt(terms.priceMinor);
    if (year.start >= period.start)
      fees.push({ kind: "cycle", from: year.start, until: year.end, amount: price, segment });
    const ends = until !== null && until < year.end && until >= period.start && until < period.end;
    if (!ends) continue;
    fees.push({ kind: "refund", from: until, until: year.end, amount: costUpTo(terms, year, until) - price, segment });
  }
}

/** The same day and time of a later year in UTC; of 29 February the 28th. */
export function yearsAfter(from: Date, years: number): Date {
  const at = new Date(from);
  at.setUTCFullYear(at.getUTCFullYear() + years);
  if (at.getUTCMonth() !== from.getUTCMonth()) at.setUTCDate(0);
  return at;
}
