/** Invented tenants until the time is over. A seed gives the same deeds again. */
import fc from "fast-check";
import { expect, inject, test } from "vitest";
import { play } from "../journeys/invented.ts";
import { openHouse, steps } from "../journeys/invented-house.ts";

const ROUND = 10;
const house = await openHouse();

test("whatever tenants do, each sees only its own, and the books are right", async () => {
  const until = performance.now() + inject("minutes") * 60_000;
  let seed = inject("seed");
  let deeds = 0;
  const property = fc.asyncProperty(steps(80), async (given) => {
    deeds += given.length;
    expect(await play(house, given), `seed ${seed}`).toEqual([]);
  });
  for (; performance.now() < until; seed++) await fc.assert(property, { numRuns: ROUND, seed, endOnFailure: true });
  console.log(`  ${deeds} deeds, seeds up to ${seed - 1}`);
}, 86_400_000);
