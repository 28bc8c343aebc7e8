/**
 * Money: whole numbers of a currency's smallest unit (ISO 4217), bigint while it is reckoned with, below 2^53 wherever it is shown.
 *
 * Invariant: nothing here is ever a float. There is one rule of rounding, `roundHalfUp`, asked once for each amount of a line;
 * what is split by `shares` sums to the whole.
 * On failure: a RangeError where an amount could not be shown exactly.
 */

/** An exact quotient; the denominator is above zero. */
export type Ratio = Readonly<{ numerator: bigint; denominator: bigint }>;

/** The rule: to the nearest whole number, and up where two are equally near: floor(x + 1/2), also below zero. */
export function roundHalfUp({ numerator, denominator }: Ratio): bigint {
  return floorOf({ numerator: 2n * numerator + denominator, denominator: 2n * denominator });
}

export function floorOf({ numerator, denominator }: Ratio): bigint {
  if (denominator <= 0n) throw new RangeError("a ratio's denominator is above zero");
  const quotient = numerator / denominator;
  return numerator % denominator < 0n ? quotient - 1n : quotient;
}

/** As JSON and a column of Postgres hold it. */
export function asNumber(amount: bigint): number {
  const shown = Number(amount);
  if (!Number.isSafeInteger(shown)) throw new RangeError("an amount is not below 2^53");
  return shown;
}

/**
 * `total` in parts by weight, none below zero: what falls to the first n together is rounded, so each part is within one of
 * its exact share, and all of them sum to the total. Without any weight the first part is all of it.
 */
export function shares(total: bigint, weights: readonly bigint[]): bigint[] {
  const denominator = weights.reduce((sum, weight) => sum + weight, 0n);
  if (denominator === 0n) return weights.map((_, i) => (i === 0 ? total : 0n));
  let reached = 0n;
  let given = 0n;
  return weights.map((weight) => {
    if (weight < 0n) throw new RangeError("a weight is not below zero");
    reached += weight;
    const part = roundHalfUp({ numerator: total * reached, denominator }) - given;
    given += part;
    return part;
  });
}

/** How many digits a currency has behind the point: 2 of EUR, 0 of JPY, 3 of KWD. */
export function minorDigits(currency: string): number {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.resolvedOptions().maximumFractionDigits ?? 2;
}

/** `12.34 EUR`, for people. */
export function showMoney(minor: number, currency: string): string {
  const digits = minorDigits(currency);
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  const sign = minor < 0 ? "-" : "";
  return `${sign}${whole}${digits === 0 ? "" : `.${text.slice(-digits)}`} ${currency}`;
}
