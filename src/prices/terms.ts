/**
 * What an account is priced by: a price per cycle that includes units, and what those above them cost.
 *
 * Invariant: a rate is an exact quotient, given as a decimal (`35`, `0.35`) or a fraction (`1/3`); it is never a float.
 */
import type { Rule } from "../accounts/fields.ts";
import { orNull, units } from "../accounts/fields.ts";
import { currency } from "../accounts/plan-fields.ts";
import type { Ratio } from "./money.ts";

export const priceCycles = ["month", "year"] as const;
export type PriceCycle = (typeof priceCycles)[number];

export type PriceTerms = Readonly<{
  currency: string;
  /** Per cycle, in the smallest unit. `month`: each period. */
  priceMinor: number;
  cycle: PriceCycle;
  /** In each period, whatever the cycle; null: all. */
  includedUnits: number | null;
  /** Of 1,000 units above those, in the smallest unit: `35`, `0.35`, `1/3`. */
  overagePer1000: string;
  /** What all units above them cost at most in a period; null: no bound. */
  ceilingMinor: number | null;
}>;

/** So that no bill comes near 2^53: ten digits of a price, and with this rate 10^12 units cost 10^15. */
const MAX_PRICE_MINOR = 10_000_000_000;
const MAX_RATE = 1_000_000n;

const DECIMAL = /^(\d{1,7})(?:\.(\d{1,9}))?$/;
const FRACTION = /^(\d{1,15})\/([1-9]\d{0,8})$/;

/** Undefined for what is none. */
export function parseRate(text: string): Ratio | undefined {
  const [, whole, digits = ""] = DECIMAL.exec(text) ?? [];
  if (whole !== undefined) return { numerator: BigInt(whole + digits), denominator: 10n ** BigInt(digits.length) };
  const [, numerator, denominator] = FRACTION.exec(text) ?? [];
  if (numerator === undefined || denominator === undefined) return undefined;
  return { numerator: BigInt(numerator), denominator: BigInt(denominator) };
}

const rate: Rule = (value) => {
  const parsed = typeof value === "string" ? parseRate(value) : undefined;
  return parsed !== undefined && parsed.numerator <= MAX_RATE * parsed.denominator
    ? undefined
    : `This must be text like 35, 0.35 or 1/3, at most ${MAX_RATE}: the price of 1,000 units in the smallest unit of the currency.`;
};

const price: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_PRICE_MINOR
    ? undefined
    : `This must be a whole number from 0 to ${MAX_PRICE_MINOR}: the smallest unit of the currency.`;

/** Rules by the members' names, and those at the doors. */
export const priceFields = {
  currency: { column: "currency", rule: currency },
  priceMinor: { column: "price_minor", rule: price },
  cycle: {
    column: "cycle",
    rule: (value: unknown) => (priceCycles.includes(value as PriceCycle) ? undefined : "This must be month or year."),
  },
  includedUnits: { column: "included_units", rule: orNull(units) },
  overagePer1000: { column: "overage_per_1000", rule: rate },
  ceilingMinor: { column: "ceiling_minor", rule: orNull(price) },
} as const satisfies Record<keyof PriceTerms, { column: string; rule: Rule }>;
