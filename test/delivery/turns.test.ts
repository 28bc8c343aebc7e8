import fc from "fast-check";
import { expect, test } from "vitest";
import type { Parcel } from "../../src/delivery/parcel.ts";
import { createTurns } from "../../src/delivery/turns.ts";
import { makeTask, newSubaccount } from "./played-spool.ts";

function makeParcel(subaccountId = newSubaccount(), fresh = true): Parcel {
  const task = makeTask({ subaccountId });
  const held = {
    task,
    fresh,
    route: "",
    leasedUntilMs: 0,
    state: "waiting" as const,
    begunAtMs: 0,
    open: 1,
    findings: [],
    delayMs: 0,
  };
  return { held, recipients: task.recipients, stale: false, content: null };
}

const anyKind = () => true;

test("a subaccount with one message waits for one of each other, not for their backlog", () => {
  const turns = createTurns();
  const [flood, other] = [newSubaccount(), newSubaccount()];
  for (let i = 0; i < 1000; i += 1) turns.add(makeParcel(flood));
  const reset = makeParcel(other);
  turns.add(reset);
  expect([turns.take(anyKind), turns.take(anyKind)]).toContain(reset);
});

test("messages of one subaccount keep their order, and one that comes back goes first", () => {
  const turns = createTurns();
  const owner = newSubaccount();
  const [a, b, c] = [makeParcel(owner), makeParcel(owner), makeParcel(owner)];
  turns.add(a);
  turns.add(b);
  expect(turns.take(anyKind)).toBe(a);
  turns.addFirst(c);
  expect([turns.take(anyKind), turns.take(anyKind), turns.take(anyKind)]).toEqual([c, b, undefined]);
});

test("of four turns claimed mail gets one while fresh mail waits too, and all when it is alone", () => {
  const turns = createTurns();
  for (let i = 0; i < 40; i += 1) {
    turns.add(makeParcel(newSubaccount(), true));
    turns.add(makeParcel(newSubaccount(), false));
  }
  const first = Array.from({ length: 40 }, () => turns.take(anyKind)?.held.fresh);
  expect(first.filter((fresh) => fresh === false)).toHaveLength(10);
  expect(turns.waiting("fresh")).toBe(10);
  expect(turns.take((kind) => kind === "claimed")?.held.fresh).toBe(false);
});

test("a kind that may not go now is passed over", () => {
  const turns = createTurns();
  turns.add(makeParcel(newSubaccount(), true));
  expect(turns.take((kind) => kind === "claimed")).toBeUndefined();
  expect(turns.waiting()).toBe(1);
});

test("each parcel comes out once, whatever the order of adding and taking", () => {
  const owners = [newSubaccount(), newSubaccount(), newSubaccount()];
  const step = fc.record({
    take: fc.boolean(),
    owner: fc.integer({ min: 0, max: 2 }),
    fresh: fc.boolean(),
    ahead: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const turns = createTurns();
      const inside = new Set<Parcel>();
      for (const { take, owner, fresh, ahead } of steps) {
        if (take) {
          const parcel = turns.take(anyKind);
          expect(parcel === undefined).toBe(inside.size === 0);
          if (parcel) expect(inside.delete(parcel)).toBe(true);
        } else {
          const parcel = makeParcel(owners[owner], fresh);
          if (ahead) turns.addFirst(parcel);
          else turns.add(parcel);
          inside.add(parcel);
        }
        expect(turns.waiting()).toBe(inside.size);
      }
      expect(new Set(turns.clear())).toEqual(inside);
      expect(turns.waiting()).toBe(0);
    }),
    { numRuns: 50 },
  );
});
