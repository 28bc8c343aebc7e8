import fc from "fast-check";
import { expect, test } from "vitest";
import { createHandoff } from "../../src/delivery/handoff.ts";
import { newSubaccount } from "./played-spool.ts";

const KIB = 1024;

test("what is offered beyond the bound is refused, and room that is given back is used again", () => {
  const handoff = createHandoff({ totalBytes: 100 * KIB, subaccountBytes: 100 * KIB });
  const owner = newSubaccount();
  let taken = 0;
  while (handoff.offer(8 * KIB, owner)) taken += 1;
  expect(taken).toBe(10); // 8 KiB and 2 KiB of overhead each
  handoff.free(8 * KIB, owner);
  expect(handoff.offer(8 * KIB, owner)).toBe(true);
  expect(handoff.offer(8 * KIB, owner)).toBe(false);
});

test("one subaccount's flood leaves room for another's password reset", () => {
  const handoff = createHandoff({ totalBytes: 400 * KIB, subaccountBytes: 100 * KIB });
  const [flood, other] = [newSubaccount(), newSubaccount()];
  while (handoff.offer(8 * KIB, flood));
  expect(handoff.offer(8 * KIB, other)).toBe(true);
});

test("what is held is what was offered and not given back, never more than the bounds", () => {
  const owners = [newSubaccount(), newSubaccount(), newSubaccount()];
  const step = fc.record({ owner: fc.integer({ min: 0, max: 2 }), size: fc.integer({ min: 0, max: 50 * KIB }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.infiniteStream(fc.boolean()), (steps, chance) => {
      const handoff = createHandoff({ totalBytes: 300 * KIB, subaccountBytes: 120 * KIB });
      const held: { owner: (typeof owners)[number]; size: number }[] = [];
      for (const { owner: i, size } of steps) {
        const owner = owners[i] as (typeof owners)[number];
        if (handoff.offer(size, owner)) held.push({ owner, size });
        if (chance.next().value && held.length > 0) {
          const gone = held.shift() as (typeof held)[number];
          handoff.free(gone.size, gone.owner);
        }
        const sum = (mine: typeof held) => mine.reduce((bytes, one) => bytes + one.size + 2 * KIB, 0);
        expect(handoff.heldBytes()).toBe(sum(held));
        expect(handoff.heldBytes()).toBeLessThanOrEqual(300 * KIB);
        for (const o of owners) expect(sum(held.filter((one) => one.owner === o))).toBeLessThanOrEqual(120 * KIB);
      }
    }),
    { numRuns: 50 },
  );
});
