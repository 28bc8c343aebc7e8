/** Invented tenants and forged senders, in numbers for seconds; `npm run faults -- --only tenants` goes on, and breaks the guards. */
import fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import { holds } from "./tenants.ts";
import { forge, openForgery } from "./tenants-senders.ts";
import { openStage, type Stage } from "./tenants-stage.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});

test("whatever invented tenants do, each sees and sends as its own only, and the books are right", async () => {
  await fc.assert(holds(stage, 120), { numRuns: 2, seed: 3, includeErrorInReport: true });
  expect(stage.figures.accepted).toBeGreaterThan(15);
  expect(stage.figures.intrusions).toBeGreaterThan(30);
});

test("nobody sends as a domain that another has proved, however it is written", async () => {
  const { attempts, accepted, faults } = await forge(stage, await openForgery(stage), 6);
  expect(faults).toEqual([]);
  // Names that only look like an address are names.
  expect(accepted).toBe(16);
  expect(attempts).toBeGreaterThan(500);
});
