/** No loss (P2): whatever is killed under load, what was acknowledged is delivered, queued or returned, and charged once. */
import { expect, test } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { createTenant, type Relay } from "../support/relay.ts";
import { openScene } from "./scene.ts";

test("a relay that is killed under load and started again has lost nothing and charged nothing twice", async () => {
  const scene = await openScene();
  let relay: Relay | undefined = scene.relay;
  const tenant = await createTenant(scene.relay, { limit: null });
  const ports = () => (relay === undefined ? [] : [relay.ports.submission]);
  const load = scene.load(tenant, { ports, sessions: 20, units: (n) => 1 + (n % 3), pauseMs: 10 });
  for (let kills = 0; kills < 2; kills++) {
    await load.more(150, "accepted");
    const killed: Relay = relay;
    relay = undefined;
    await killed.stop("SIGKILL");
    relay = await scene.startAgain();
  }
  await load.more(50, "accepted");
  await load.stop();
  await scene.letLeasesLapse();
  const audit = await scene.check({ through: relay });
  expect(audit.faults).toEqual([]);
  const unknown = load.seen.filter((s) => s.knowledge === "unknown").length;
  expect(audit.inDoubt).toBeLessThanOrEqual(unknown);
});

test("control: a relay that acknowledges before it has stored loses mail when it is killed, and the books show it", async () => {
  const program = mutateProgram("src/spool/accept.ts", {
    from: "        waiting.push({ submission, answer, rolled: 0 });\n        pumpSoon();",
    to: `        answer({ kind: "accepted", id: submission.id });
        setTimeout(() => {
          waiting.push({ submission, answer: () => {}, rolled: 0 });
          pump();
        }, 500);`,
  });
  const scene = await openScene({ program });
  let open = true;
  const tenant = await createTenant(scene.relay, { limit: null });
  const ports = () => (open ? [scene.relay.ports.submission] : []);
  const load = scene.load(tenant, { ports, sessions: 20 });
  await load.more(200, "accepted");
  open = false;
  await scene.relay.stop("SIGKILL");
  await load.stop();
  const again = await scene.startAgain();
  await scene.letLeasesLapse();
  const { faults } = await scene.check({ through: again });
  expect(faults).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/));
});

test("a relay told to end under load drains: exit code 0, every session answered, no lease left behind", async () => {
  const slow = { end: () => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20)) };
  const scene = await openScene({ script: slow });
  const tenant = await createTenant(scene.relay, { limit: null });
  let relay: Relay | undefined = scene.relay;
  const ports = () => (relay === undefined ? [] : [relay.ports.submission]);
  const load = scene.load(tenant, { ports, sessions: 20 });
  await load.more(200, "accepted");
  relay = undefined;
  const toldAt = performance.now();
  expect(await scene.relay.stop("SIGTERM")).toBe(0);
  expect(performance.now() - toldAt).toBeLessThan(25_000); // after 28 s it would have been cut
  await load.more(40, "unsent");
  expect(load.seen.filter((s) => s.knowledge === "unknown")).toEqual([]);
  const { rows } = await scene.database.pool.query("select count(*) as held from queue where owner is not null");
  expect(rows).toEqual([{ held: 0 }]);
  relay = await scene.startAgain();
  await load.more(20, "accepted");
  await load.stop();
  expect(await scene.check({ through: relay })).toMatchObject({ faults: [], inDoubt: 0, duplicates: 0 });
  expect(scene.upstream.received.length).toBeGreaterThan(200);
});
