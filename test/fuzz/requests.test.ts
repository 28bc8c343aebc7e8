/** Some hundred requests, the same each time; `npm run faults -- --only parsers` has new ones. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { openDoor } from "../api/client.ts";
import { requestProperty } from "./requests.ts";

test("whatever is asked, no answer is 500, and each is what its definition says", async () => {
  await fc.assert(await requestProperty(await openDoor()), { numRuns: 400, seed: 5321 });
});

test("control: a rule that fails now and then is found", async () => {
  const door = await openDoor();
  const property = await requestProperty(door);
  const { clock } = door.database;
  const now = vi.spyOn(clock, "now").mockImplementation(() => {
    throw new Error("played");
  });
  expect((await fc.check(property, { numRuns: 400, seed: 5321 })).failed).toBe(true);
  now.mockRestore();
});
