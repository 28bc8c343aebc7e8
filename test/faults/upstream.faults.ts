/** Upstreams in every mood, under load through the whole program, and a domain that hangs beside others. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, inject, test, vi } from "vitest";
import { makeTask } from "../delivery/played-spool.ts";
import { testDns } from "../support/dns.ts";
import { mutateProgram } from "../support/mutant.ts";
import { HANG } from "../support/upstream.ts";
import { show } from "./figures.ts";
import { playMoods } from "./upstream.ts";

afterEach(() => {
  vi.doUnmock("../../src/delivery/claim-quota.ts");
  vi.resetModules();
});

test("whatever an upstream says and does, each recipient is delivered once, returned or tried again", async ({
  task,
}) => {
  const { faults, figures } = await playMoods({ messages: 4_000, seed: inject("seed") });
  show(task, "P2, P3", figures);
  expect(faults).toEqual([]);
});

test("control: a worker that takes no answer to the final dot for a yes is found", async ({ task }) => {
  const program = mutateProgram("src/delivery/outcome.ts", {
    from: "return dotSent ? unheard(failure) : decideFailure(failure);",
    to: 'return dotSent ? delivered("250 2.0.0 Taken") : decideFailure(failure);',
  });
  const { faults, figures } = await playMoods({ messages: 1_000, seed: inject("seed"), program });
  show(task, "P2", { ...figures, "faults seen": faults.length });
  expect(faults).toContainEqual(expect.stringMatching(/is delivered, but did not arrive$/));
});

/** Messages to a domain that hangs stand before those to one that answers. */
async function besideHanging(openHouse: typeof import("../delivery/house.ts").openHouse) {
  const dns = await testDns();
  for (const name of ["slow.example", "quick.example"]) dns.set(name, { A: ["127.0.0.1"] });
  const house = await openHouse({
    url: "mx:?private=allow&connections=4",
    dnsServers: [dns.server],
    script: { rcpt: (line) => (line.includes("slow") ? HANG : undefined) },
    tuning: { mxClaimed: 64 },
  });
  for (let n = 0; n < 200; n++) house.spool.store(makeTask({ to: ["x@slow.example"] }));
  for (let n = 0; n < 20; n++) house.spool.store(makeTask({ to: ["x@quick.example"] }));
  house.delivery.wake();
  return house;
}

test("a domain that hangs does not keep the room for all others", async ({ task }) => {
  const { spool, delivery } = await besideHanging((await import("../delivery/house.ts")).openHouse);
  await spool.settled(20);
  show(task, "P2", { "before them": 200, delivered: spool.results.length });
  expect(spool.results.every(({ recipients }) => recipients[0]?.state === "delivered")).toBe(true);
  await delivery.drain(0);
});

test("control: where a domain need not let others pass, nothing comes through behind it", async ({ task }) => {
  vi.resetModules();
  vi.doMock("../../src/delivery/claim-quota.ts", async (original) => {
    const { createClaimQuota } = await original<typeof import("../../src/delivery/claim-quota.ts")>();
    return {
      createClaimQuota: (...of: Parameters<typeof createClaimQuota>) => ({
        ...createClaimQuota(...of),
        isCrowded: () => false,
      }),
    };
  });
  const { spool, delivery } = await besideHanging((await import("../delivery/house.ts")).openHouse);
  await sleep(10_000);
  show(task, "P2", { "before them": 200, delivered: spool.results.length });
  expect(spool.results).toHaveLength(0);
  await delivery.drain(0);
});
