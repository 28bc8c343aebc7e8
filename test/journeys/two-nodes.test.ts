/** Changes of limits against senders on two nodes: after the answer of a change no 250 leaves against it. */
import { beforeAll, expect, test } from "vitest";
import { mutateFunction } from "../support/mutant.ts";
import { createTenant, type Relay, type Tenant } from "../support/relay.ts";
import type { Sent } from "../support/sessions.ts";
import { openScene } from "./scene.ts";

const scene = await openScene();
const { relay, database } = scene;
let other: Relay;
const sound = { faults: [], inDoubt: 0, duplicates: 0 };

beforeAll(async () => {
  other = await scene.startAgain();
});

const both = () => [relay.ports.submission, other.ports.submission];

async function change(node: Relay, tenant: Tenant, method: string, path: string, body?: object): Promise<number> {
  const answer = await node.call(method, `/v1/subaccounts/${tenant.subaccountId}${path}`, body, {
    key: tenant.masterKey,
  });
  expect([200, 201]).toContain(answer.status);
  return performance.now();
}

/** Acknowledged although its final dot came after the answer of the change. */
const late = (seen: readonly Sent[], answeredAtMs: number) =>
  seen.filter((s) => s.knowledge === "accepted" && s.dotAtMs > answeredAtMs);

async function used(tenant: Tenant): Promise<number> {
  const path = `/v1/subaccounts/${tenant.subaccountId}/usage`;
  return (await relay.call("GET", path, undefined, { key: tenant.masterKey })).body.used;
}

test("a limit lowered below what is used stops senders on both nodes, at once", async () => {
  const tenant = await createTenant(relay, { limit: 100_000 });
  const load = scene.load(tenant, { ports: both, sessions: 16 });
  await load.more(100, "accepted");
  const answeredAtMs = await change(relay, tenant, "PATCH", "", { monthly_limit: 50 });
  const frozen = await used(tenant);
  await load.more(60, "refused");
  const seen = await load.stop();
  expect(late(seen, answeredAtMs)).toEqual([]);
  expect(await used(tenant)).toBe(frozen);
  expect(await scene.check()).toMatchObject(sound);
});

test("a raised limit and a top-up open the door on both nodes with the next message", async () => {
  const tenant = await createTenant(relay, { limit: 30 });
  const load = scene.load(tenant, { ports: both, sessions: 8 });
  await load.more(40, "refused");
  for (const [method, path, body] of [
    ["PATCH", "", { monthly_limit: 60 }],
    ["POST", "/top_ups", { units: 30 }],
  ] as const) {
    const opened = load.more(30, "accepted"); // some are through before the change is answered
    await change(other, tenant, method, path, body);
    await opened;
    await load.more(40, "refused");
  }
  const seen = await load.stop();
  expect(seen.filter((s) => s.knowledge === "accepted")).toHaveLength(90);
  expect(await scene.check()).toMatchObject(sound);
});

test.each([
  ["close", "reopen"],
  ["disable", "enable"],
])("%s ends sending on both nodes, in sessions that are open, until %s", async (stop, go) => {
  const tenant = await createTenant(relay, { limit: null });
  const load = scene.load(tenant, { ports: both, sessions: 8 });
  await load.more(50, "accepted");
  const stoppedAtMs = await change(other, tenant, "POST", `/${stop}`);
  const frozen = await used(tenant);
  await load.more(30, "refused");
  expect(late(load.seen, stoppedAtMs)).toEqual([]);
  expect(await used(tenant)).toBe(frozen);
  await change(relay, tenant, "POST", `/${go}`);
  await load.more(50, "accepted");
  await load.stop();
  expect(await scene.check()).toMatchObject(sound);
});

test("limits that go up and down all the time are kept at every moment", async () => {
  const tenant = await createTenant(relay, { limit: 40 });
  const load = scene.load(tenant, { ports: both, sessions: 12, units: (n) => 1 + (n % 2) });
  for (let limit = 80; limit <= 400; limit += 80) {
    await change(limit % 160 === 0 ? relay : other, tenant, "PATCH", "", { monthly_limit: limit });
    await load.more(15, "accepted");
    await change(limit % 160 === 0 ? other : relay, tenant, "PATCH", "", { monthly_limit: limit - 60 });
    const frozen = await used(tenant);
    await load.more(15, "refused");
    expect(await used(tenant)).toBeLessThanOrEqual(Math.max(frozen, limit - 60));
  }
  await load.stop();
  expect(await used(tenant)).toBeLessThanOrEqual(400);
  expect(await scene.check()).toMatchObject(sound);
});

test("without Redis a change on one node holds on both as well", async () => {
  const scene = await openScene({ withRedis: false });
  const second = await scene.startAgain();
  const ports = () => [scene.relay.ports.submission, second.ports.submission];
  const tenant = await createTenant(scene.relay, { limit: 60 });
  const load = scene.load(tenant, { ports, sessions: 12 });
  await load.more(40, "refused");
  await change(second, tenant, "PATCH", "", { monthly_limit: 200 });
  await load.more(30, "accepted");
  const loweredAtMs = await change(scene.relay, tenant, "PATCH", "", { monthly_limit: 0 });
  await load.more(40, "refused");
  const seen = await load.stop();
  expect(late(seen, loweredAtMs)).toEqual([]);
  expect(await scene.check()).toMatchObject(sound);
});

test("control: where the door believes an old cap, acknowledgements after the change are found", async () => {
  const tenant = await createTenant(relay, { limit: 100_000 });
  const repair = await mutateFunction(database, "accept_batch", { from: "cur[s] + u > k_cap[s]", to: "false" });
  try {
    const load = scene.load(tenant, { ports: () => [relay.ports.submission], sessions: 16 });
    await load.more(100, "accepted");
    await database.pool.query("update subaccount set monthly_limit = 50 where monthly_limit = 100000");
    const answeredAtMs = performance.now();
    await load.more(100);
    expect(late(await load.stop(), answeredAtMs).length).toBeGreaterThan(0);
  } finally {
    await repair();
  }
});
