/** Redis fails under a relay at work (P1, P3). The long run, with its controls: redis.faults.ts. */
import { expect, test } from "vitest";
import { playOutages } from "./redis.ts";

test("answers of Redis lost under load: exactly the limit, and one round of reconciling mends the counters", async () => {
  const { faults, figures } = await playOutages({
    names: ["answers cut off after the script has run"],
    round: "asked for",
  });
  expect(faults).toEqual([]);
  expect(figures["of these apart before reconciling"]).toBeGreaterThan(0);
});
