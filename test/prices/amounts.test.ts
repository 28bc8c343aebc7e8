/** Fees of a period, and what an account pays for it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Period } from "../../src/metering/period.ts";
import { overageOf, priceOf } from "../../src/prices/amounts.ts";
import { feesIn, type Segment, yearsAfter } from "../../src/prices/fees.ts";
import type { PriceTerms } from "../../src/prices/terms.ts";

const terms: PriceTerms = {
  currency: "EUR",
  priceMinor: 3000,
  cycle: "month",
  includedUnits: 10_000,
  overagePer1000: "35",
  ceilingMinor: null,
};
const november: Period = { start: new Date("2026-11-01T00:00:00Z"), end: new Date("2026-12-01T00:00:00Z") };

function segment(from: string | Date, until: string | Date | null, change: Partial<PriceTerms> = {}): Segment {
  const facts = { source: "card", of: "card_x", n: 1, discountBp: 0 } as const;
  return {
    ...facts,
    from: new Date(from),
    until: until === null ? null : new Date(until),
    terms: { ...terms, ...change },
  };
}

const feeOf = (segments: readonly Segment[], period = november) =>
  feesIn(segments, period).reduce((sum, { amount }) => sum + amount, 0n);

describe("a monthly price", () => {
  test("is that of a period; a part of it by the second", () => {
    expect(feeOf([segment("2026-01-01", null)])).toBe(3000n);
    expect(feeOf([segment("2026-11-16", null)])).toBe(1500n);
    expect(feeOf([segment("2026-11-01", "2026-11-11")])).toBe(1000n);
    expect(feeOf([segment("2026-12-01", null)])).toBe(0n);
    expect(feeOf([segment("2026-10-01", "2026-11-01")])).toBe(0n);
    expect(feesIn([segment("2026-11-16", null)], november)).toMatchObject([{ kind: "part" }]);
  });

  test("wherever a period is cut, its parts sum to the whole", () => {
    const at = fc.integer({ min: 0, max: 30 * 86_400 }).map((s) => new Date(november.start.getTime() + s * 1000));
    fc.assert(
      fc.property(fc.array(at, { maxLength: 12 }), fc.nat(10 ** 10), (cuts, priceMinor) => {
        const ends = [...cuts.toSorted((a, b) => a.getTime() - b.getTime()), null];
        let from = new Date(0);
        const parts = ends.map((until) => {
          const part = segment(from, until, { priceMinor });
          from = until ?? from;
          return part;
        });
        expect(feeOf(parts)).toBe(BigInt(priceMinor));
      }),
    );
  });
});

describe("a yearly price", () => {
  const months = Array.from({ length: 40 }, (_, i) => ({
    start: new Date(Date.UTC(2026, i, 1)),
    end: new Date(Date.UTC(2026, i + 1, 1)),
  }));

  test("is asked in the period in which each year begins", () => {
    const yearly = [segment("2026-02-10T12:00:00Z", null, { cycle: "year" })];
    const asked = months.flatMap((month, i) => (feeOf(yearly, month) === 0n ? [] : [[i, feeOf(yearly, month)]]));
    expect(asked).toEqual([
      [1, 3000n],
      [13, 3000n],
      [25, 3000n],
      [37, 3000n],
    ]);
  });

  test("what is left of a year is given back where it ends: all periods sum to the time it ruled", () => {
    const seconds = fc.integer({ min: 1, max: 3 * 366 * 86_400 });
    fc.assert(
      fc.property(seconds, fc.nat(10 ** 9), (ruled, priceMinor) => {
        const from = new Date("2026-01-20T05:06:07Z");
        const until = new Date(from.getTime() + ruled * 1000);
        const sum = months.reduce(
          (fee, month) => fee + feeOf([segment(from, until, { cycle: "year", priceMinor })], month),
          0n,
        );
        let years = 0;
        while (yearsAfter(from, years + 1) <= until) years += 1;
        const [start, end] = [yearsAfter(from, years).getTime(), yearsAfter(from, years + 1).getTime()];
        const part =
          (BigInt(priceMinor) * BigInt(until.getTime() - start) * 2n + BigInt(end - start)) / BigInt(2 * (end - start));
        expect(sum).toBe(BigInt(priceMinor) * BigInt(years) + part);
      }),
    );
  });

  test("of 29 February the years end on the 28th, or the 29th again", () => {
    const leap = new Date("2024-02-29T10:00:00Z");
    expect([1, 4].map((n) => yearsAfter(leap, n).toISOString().slice(0, 10))).toEqual(["2025-02-28", "2028-02-29"]);
  });
});

describe("what an account pays", () => {
  test("units above those included, by the exact rate, up to the ceiling", () => {
    const always = (change: Partial<PriceTerms>) => [segment("2026-01-01", null, change)];
    expect(priceOf(always({}), november, 12_000)).toMatchObject({
      includedUnits: 10_000,
      overageUnits: 2000,
      amounts: [{ currency: "EUR", feeMinor: 3000, overageMinor: 70, discountMinor: 0, totalMinor: 3070 }],
    });
    expect(priceOf(always({ overagePer1000: "1/3" }), november, 11_500).amounts[0]!.overageMinor).toBe(1); // 0.5
    expect(priceOf(always({ overagePer1000: "0.333333333" }), november, 11_500).amounts[0]!.overageMinor).toBe(0);
    expect(priceOf(always({ ceilingMinor: 50 }), november, 12_000).amounts[0]!.overageMinor).toBe(50);
    expect(priceOf(always({ includedUnits: null }), november, 10 ** 12)).toMatchObject({ overageUnits: 0 });
    expect(priceOf([], november, 5)).toEqual({ includedUnits: null, overageUnits: 0, fees: [], amounts: [] });
  });

  test("included units go by the parts of the period, rate and ceiling by the last terms", () => {
    const half = new Date("2026-11-16");
    const changed = [
      segment("2026-01-01", half),
      segment(half, null, { includedUnits: 20_001, overagePer1000: "100" }),
    ];
    expect(priceOf(changed, november, 16_000)).toMatchObject({
      includedUnits: 15_000,
      overageUnits: 1000,
      amounts: [{ feeMinor: 3000, overageMinor: 100 }],
    });
  });

  test("what docs/billing.md says of the odd cases", () => {
    const short: Period = { start: november.start, end: new Date("2026-11-15T00:00:00Z") };
    const whole = { includedUnits: 10_000, amounts: [{ feeMinor: 3000 }] };
    expect(priceOf([segment("2026-01-01", null)], short, 0)).toMatchObject(whole);
    const allOnce = [segment("2026-01-01", "2026-11-29", { includedUnits: null }), segment("2026-11-29", null)];
    expect(priceOf(allOnce, november, 10 ** 6)).toMatchObject({ includedUnits: null, amounts: [{ overageMinor: 0 }] });
    expect(priceOf([segment("2026-01-01", null)], november, -500)).toMatchObject({ amounts: [{ totalMinor: 3000 }] });
    const closed = segment("2026-01-01", "2026-11-16", { ceilingMinor: 100 });
    expect(priceOf([closed], november, 10_000)).toMatchObject({
      includedUnits: 5000,
      amounts: [{ overageMinor: 100 }],
    });
  });

  test("a discount is rounded once, and each currency is an amount of its own", () => {
    const discounted = { ...segment("2026-01-01", "2026-11-11"), discountBp: 333 };
    const dollars = { ...segment("2026-11-11", null, { currency: "USD", priceMinor: 100 }), discountBp: 10_000 };
    expect(priceOf([discounted, dollars], november, 0).amounts).toEqual([
      { currency: "EUR", feeMinor: 1000, overageMinor: 0, discountMinor: 33, totalMinor: 967 },
      { currency: "USD", feeMinor: 67, overageMinor: 0, discountMinor: 67, totalMinor: 0 },
    ]);
  });

  test("the total never falls with more units, and is what its parts sum to", () => {
    const given = fc.record({
      priceMinor: fc.nat(10 ** 9),
      includedUnits: fc.option(fc.nat(10 ** 9)),
      overagePer1000: fc.oneof(
        fc.nat(10 ** 6).map(String),
        fc.tuple(fc.nat(999), fc.nat(10 ** 9 - 1)).map(([a, b]) => `${a}.${String(b).padStart(9, "0")}`),
        fc.tuple(fc.nat(10 ** 6), fc.integer({ min: 1, max: 10 ** 6 })).map(([a, b]) => `${a}/${b}`),
      ),
      ceilingMinor: fc.option(fc.nat(10 ** 9)),
    });
    const units = fc.nat(10 ** 12);
    fc.assert(
      fc.property(given, units, units, fc.nat(10_000), (change, one, other, discountBp) => {
        const of = (count: number) => {
          const [amount] = priceOf([{ ...segment("2026-11-07", null, change), discountBp }], november, count).amounts;
          const { feeMinor, overageMinor, discountMinor, totalMinor } = amount!;
          expect(feeMinor + overageMinor - discountMinor).toBe(totalMinor);
          return totalMinor;
        };
        expect(of(Math.min(one, other))).toBeLessThanOrEqual(of(Math.max(one, other)));
      }),
    );
  });

  test("the largest bill there can be is still exact", () => {
    expect(overageOf({ ...terms, overagePer1000: "1000000" }, 10 ** 12)).toBe(10n ** 15n);
  });
});
