/** Nodes behind one address are restarted one after the other, under load: nothing is lost, and no client is turned away. */
import { expect, test } from "vitest";
import { startBalancer } from "../support/balancer.ts";
import { createTenant, type Relay } from "../support/relay.ts";
import type { Sent } from "../support/sessions.ts";
import { openScene } from "./scene.ts";

const scene = await openScene();

/** What a client would show as an error: all but a 250, and a 421 in place of the answer to MAIL, between two messages. */
const errors = (seen: readonly Sent[]) =>
  seen.filter(
    ({ knowledge, reply }) => knowledge !== "accepted" && !(knowledge === "refused" && reply.startsWith("421")),
  );

test("a rolling restart of two nodes: each message is taken, by one or the other", async () => {
  const tenant = await createTenant(scene.relay, { limit: null });
  let nodes: Relay[] = [scene.relay, await scene.startAgain()];
  const balancer = await startBalancer(() => nodes.map(({ ports }) => ports.submission));
  const load = scene.load(tenant, { ports: () => [balancer.port], sessions: 12, pauseMs: 5 });
  await load.more(100, "accepted");
  for (const old of [...nodes]) {
    nodes = [...nodes.filter((node) => node !== old), await scene.startAgain()];
    expect(await old.stop()).toBe(0);
    await load.more(100, "accepted");
  }
  const seen = await load.stop();
  expect(errors(seen)).toEqual([]);
  expect(balancer.turnedAway()).toBe(0);
  expect(seen.some(({ reply }) => reply.startsWith("421"))).toBe(true);
  expect(await scene.check({ through: nodes[0] as Relay })).toMatchObject({ faults: [], inDoubt: 0, duplicates: 0 });
});

test("control: nodes that are killed instead of stopped show their clients errors", async () => {
  const relay = await scene.startAgain();
  const tenant = await createTenant(relay, { limit: null });
  const load = scene.load(tenant, { ports: () => [relay.ports.submission], sessions: 12 });
  await load.more(50, "accepted");
  await relay.stop("SIGKILL");
  await load.more(12);
  expect(errors(await load.stop()).length).toBeGreaterThan(0);
});
