/** Nodes behind one address are restarted one after the other, under load: nothing is lost, and no client is turned away. */
import { expect, test } from "vitest";
import { createTenant } from "../support/relay.ts";
import { errorsOf, restartInTurn } from "./rolling.ts";
import { openScene } from "./scene.ts";

test("a rolling restart of two nodes: each message is taken, by one or the other", async () => {
  const { faults, figures } = await restartInTurn(1);
  expect(faults).toEqual([]);
  expect(figures["told 421 between two"]).toBeGreaterThan(0);
});

test("control: nodes that are killed instead of stopped show their clients errors", async () => {
  const { relay, load: start } = await openScene();
  const tenant = await createTenant(relay, { limit: null });
  const load = start(tenant, { sessions: 12 });
  await load.more(50, "accepted");
  await relay.stop("SIGKILL");
  await load.more(12);
  expect(errorsOf(await load.stop()).length).toBeGreaterThan(0);
});
