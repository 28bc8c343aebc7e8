/** A node that is told to end under load drains (P2, P3). The long run, with its controls: stop.faults.ts. */
import { expect, test } from "vitest";
import { stopUnderLoad } from "./stop.ts";

test("an end under load: in time, and who is in the middle of a message gets its 250", async () => {
  const { faults, figures } = await stopUnderLoad({ stops: 1, processes: 1, seed: 1 });
  expect(faults).toEqual([]);
  expect(figures["of these in the middle when it was told"]).toBe(6);
});
