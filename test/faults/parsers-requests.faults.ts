/** Requests of all sorts to every route until the time is over. A seed gives the same requests again. */
import fc from "fast-check";
import { expect, inject, test } from "vitest";
import { openDoor } from "../api/client.ts";
import { requestProperty } from "../fuzz/requests.ts";
import { show } from "./figures.ts";

const ROUND = 2000;

test("whatever is asked, no answer is 500, and each is what its definition says", async ({ task }) => {
  const door = await openDoor();
  const property = await requestProperty(door);
  const until = performance.now() + inject("minutes") * 60_000;
  let [seed, requests] = [inject("seed"), 0];
  do {
    await fc.assert(property, { numRuns: ROUND, seed: seed++ });
    requests += ROUND;
    console.log(`  ${requests} requests`);
  } while (performance.now() < until);
  show(task, "P4", { requests, routes: door.app.endpoints.length });
  expect(requests).toBeGreaterThan(0);
}, 86_400_000);
