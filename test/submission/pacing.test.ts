import { expect, test } from "vitest";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { createPacing } from "../../src/submission/pacing.ts";

const [hammering, quiet] = ["a", "b"] as SubaccountId[] as [SubaccountId, SubaccountId];

function play() {
  let now = 1_000_000;
  const waits: number[] = [];
  const pacing = createPacing(
    () => now,
    async (ms) => void waits.push(ms),
  );
  const hammer = (times: number) => {
    for (let n = 0; n < times; n += 1) pacing.turn(hammering);
    return waits.splice(0);
  };
  return { pacing, hammer, pass: (ms: number) => (now += ms) };
}

test("an account that is alone is answered at once, however often it comes", () => {
  const { pacing, hammer } = play();
  pacing.accepted(hammering);
  expect(hammer(10_000)).toEqual([]);
});

test("while others have mail accepted it gets 200 answers a second: the first 200 at once, then one each 5 ms", () => {
  const { pacing, hammer } = play();
  pacing.accepted(quiet);
  pacing.accepted(hammering);
  const waits = hammer(300);
  expect(waits).toHaveLength(100);
  expect(waits.slice(0, 3)).toEqual([5, 10, 15]);
  expect(waits.at(-1)).toBe(500);
});

test("nobody waits more than five seconds, and when others have been quiet for a second nobody waits at all", () => {
  const { pacing, hammer, pass } = play();
  pacing.accepted(quiet);
  expect(Math.max(...hammer(20_000))).toBe(5000);
  pass(1000);
  expect(hammer(1000)).toEqual([]);
});

test("an account that is refused now and then never waits", () => {
  const { pacing, hammer, pass } = play();
  for (let n = 0; n < 500; n += 1) {
    pacing.accepted(quiet);
    expect(hammer(1)).toEqual([]);
    pass(5);
  }
});
