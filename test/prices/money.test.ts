/** Rounding, splitting and rates: exact, and by one rule. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asNumber, floorOf, minorDigits, roundHalfUp, shares, showMoney } from "../../src/prices/money.ts";
import { parseRate, priceFields } from "../../src/prices/terms.ts";

const anyAmount = fc.bigInt(-(10n ** 18n), 10n ** 18n);
const above = fc.bigInt(1n, 10n ** 12n);

describe("the rule of rounding", () => {
  test.each([
    [5n, 10n, 1n],
    [4n, 10n, 0n],
    [15n, 10n, 2n],
    [-5n, 10n, 0n],
    [-6n, 10n, -1n],
    [-15n, 10n, -1n],
    [7n, 1n, 7n],
  ])("%d / %d is %d", (numerator, denominator, rounded) => {
    expect(roundHalfUp({ numerator, denominator })).toBe(rounded);
  });

  test("goes to the nearest whole number, up from the middle, and by the same rule below zero", () => {
    fc.assert(
      fc.property(anyAmount, above, (numerator, denominator) => {
        const rounded = roundHalfUp({ numerator, denominator });
        const twice = 2n * (numerator - rounded * denominator); // twice the remainder
        expect(twice >= -denominator && twice < denominator).toBe(true);
        expect(roundHalfUp({ numerator: numerator + denominator, denominator })).toBe(rounded + 1n);
        expect(floorOf({ numerator, denominator }) <= rounded).toBe(true);
      }),
    );
  });

  test("an amount that JSON could not hold exactly is none", () => {
    expect(asNumber(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => asNumber(2n ** 53n)).toThrow(RangeError);
    expect(() => asNumber(-(2n ** 53n))).toThrow(RangeError);
  });
});

describe("shares", () => {
  const weights = fc.array(fc.bigInt(0n, 10n ** 12n), { minLength: 1, maxLength: 40 });

  test("sum to the whole, each within one of its exact share", () => {
    fc.assert(
      fc.property(anyAmount, weights, (total, given) => {
        const parts = shares(total, given);
        expect(parts.reduce((a, b) => a + b)).toBe(total);
        const sum = given.reduce((a, b) => a + b);
        if (sum === 0n) return;
        for (const [i, part] of parts.entries()) {
          const off = part * sum - total * given[i]!; // in parts of sum
          expect(off > -sum && off < sum).toBe(true);
        }
      }),
    );
  });

  test("a part without weight is nothing; without any weight the first is all", () => {
    expect(shares(100n, [0n, 1n, 0n, 2n])).toEqual([0n, 33n, 0n, 67n]);
    expect(shares(-7n, [0n, 0n])).toEqual([-7n, 0n]);
    expect(shares(5n, [])).toEqual([]);
  });

  test("control: parts that are rounded each by itself do not sum to the whole", () => {
    const each = [1n, 1n, 1n].map((weight) => roundHalfUp({ numerator: 100n * weight, denominator: 3n }));
    expect(each.reduce((a, b) => a + b)).toBe(99n);
    expect(shares(100n, [1n, 1n, 1n]).reduce((a, b) => a + b)).toBe(100n);
  });
});

describe("rates", () => {
  test.each([
    ["35", 35n, 1n],
    ["0.35", 35n, 100n],
    ["1/3", 1n, 3n],
    ["0", 0n, 1n],
    ["0.000000001", 1n, 1_000_000_000n],
  ])("%s is exact", (text, numerator, denominator) => {
    const rate = parseRate(text)!;
    expect(rate.numerator * denominator).toBe(numerator * rate.denominator);
    expect(priceFields.overagePer1000.rule(text)).toBeUndefined();
  });

  test.each(["", "-1", "1e3", "1.", ".5", "1/0", "0x1", "1,5", " 1", "1000001", "9999999/1", 35, 0.35, null])(
    "%s is none",
    (value) => {
      expect(priceFields.overagePer1000.rule(value)).toMatch(/^This must be text like/);
    },
  );
});

test("an amount is shown with the digits of its currency", () => {
  expect([minorDigits("EUR"), minorDigits("JPY"), minorDigits("KWD")]).toEqual([2, 0, 3]);
  expect(showMoney(1234, "EUR")).toBe("12.34 EUR");
  expect(showMoney(-5, "EUR")).toBe("-0.05 EUR");
  expect(showMoney(5, "JPY")).toBe("5 JPY");
  expect(showMoney(1, "KWD")).toBe("0.001 KWD");
});
