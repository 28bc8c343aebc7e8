import fc from "fast-check";
import { expect, test } from "vitest";
import { proposeLimit, roundUp } from "../../src/alerts/proposal.ts";

const at = { limit: 10_000, topUp: 0, used: 8000, expected: null, most: null };

test.for([
  ["what is expected, rounded up", { ...at, expected: 12_431 }, 13_000],
  ["a fifth more where less is expected than is allowed", { ...at, expected: 9000 }, 12_000],
  ["a fifth more where nothing is known", at, 12_000],
  ["what was used already counts, too", { ...at, used: 17_200 }, 18_000],
  ["top-ups are no part of the limit", { ...at, expected: 14_000, topUp: 2500 }, 12_000],
  ["never above what is possible", { ...at, expected: 30_000, most: 15_000 }, 15_000],
  ["nothing where there is no room", { ...at, most: 10_000 }, null],
  ["a limit of nothing", { ...at, limit: 0, used: 0 }, 1],
] as const)("%s", ([, situation, proposed]) => {
  expect(proposeLimit(situation)).toBe(proposed);
});

test("a proposal is above the limit and below what is possible, and a rounded number is round", () => {
  const unit = fc.integer({ min: 0, max: 1_000_000_000 });
  const situation = fc.record({
    limit: unit,
    topUp: unit,
    used: unit,
    expected: fc.option(unit),
    most: fc.option(unit),
  });
  fc.assert(
    fc.property(situation, (one) => {
      const proposed = proposeLimit(one);
      if (proposed === null) {
        expect(one.most).not.toBeNull();
        return;
      }
      expect(Number.isSafeInteger(proposed)).toBe(true);
      expect(proposed).toBeGreaterThan(one.limit);
      if (one.most !== null) expect(proposed).toBeLessThanOrEqual(one.most);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000_000 }), (units) => {
      const round = roundUp(units);
      expect(round).toBeGreaterThanOrEqual(units);
      expect(round).toBeLessThan(units * 1.1 + 1);
      expect(String(round)).toMatch(/^\d{1,2}0*$|^1000*$/);
    }),
  );
});
