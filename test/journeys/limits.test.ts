/** No oversend (P1): whoever races, whatever Redis says, no limit is passed and no unit of it is lost. */
import { expect, test } from "vitest";
import { parseId } from "../../src/platform/ids.ts";
import { mutateFunction } from "../support/mutant.ts";
import { createSubaccount, createTenant, eventually, type Tenant } from "../support/relay.ts";
import { acceptedUnits, type Sender, type Sent } from "../support/sessions.ts";
import { openScene } from "./scene.ts";

const scene = await openScene();
const { relay } = scene;
const redis = scene.redis!;
const sound = { faults: [], inDoubt: 0, duplicates: 0 };

/** The answers to what was not accepted, without their texts. */
function refusals(seen: readonly Sent[]): string[] {
  const plain = (reply: string) => reply.replace(/^(550 5\.4\.5) .* (\[QUOTA-\w+\])$/, "$1 $2");
  return [...new Set(seen.filter((s) => s.knowledge !== "accepted").map((s) => plain(s.reply)))];
}

async function team(master: Parameters<typeof createTenant>[1], limits: readonly (number | null)[]) {
  const tenant = await createTenant(relay, { ...master, limit: limits[0] ?? null });
  const others = limits.slice(1).map((limit) => createSubaccount(relay, tenant.masterKey, limit));
  return { tenant, senders: [tenant, ...(await Promise.all(others))] as Sender[] };
}

/** The counters of a tenant's master. */
async function keyOf(tenant: Tenant): Promise<string> {
  const keys = await redis.redis.keys(`*${parseId("mas", tenant.masterId)}*`);
  expect(keys).toHaveLength(1);
  return keys[0]!;
}

/** Redis now believes in limits that nobody can reach. */
async function lie(tenant: Tenant): Promise<void> {
  const key = await keyOf(tenant);
  const names = Object.keys(await redis.redis.hgetall(key));
  for (const name of names.filter((one) => one.startsWith("c"))) {
    await redis.redis.hset(key, name, "*", `v${name.slice(1)}`, "999999999");
  }
}

test("fifty sessions racing for the last hundred units get exactly one hundred", async () => {
  const tenant = await createTenant(relay, { limit: 400 });
  const before = scene.load(tenant, { sessions: 4, messages: 30, units: () => 10 });
  await before.done;
  const race = scene.load(tenant, { sessions: 50, messages: 200 });
  await race.done;
  expect(acceptedUnits(before.seen)).toBe(300);
  expect(acceptedUnits(race.seen)).toBe(100);
  expect(refusals(race.seen)).toEqual(["550 5.4.5 [QUOTA-SUBACCOUNT]"]);
  expect(await scene.check()).toMatchObject(sound);
});

test("twenty subaccounts racing under their master's cap get exactly its allowance", async () => {
  const { tenant, senders } = await team({ allowance: 100 }, Array(20).fill(30));
  const race = scene.load(tenant, { senders, sessions: 40, messages: 240 });
  await race.done;
  expect(acceptedUnits(race.seen)).toBe(100);
  expect(refusals(race.seen)).toEqual(["550 5.4.5 [QUOTA-MASTER]"]);
  expect(await scene.check()).toMatchObject(sound);
});

test("where overage is billed they get the ceiling, three times the allowance, and no more", async () => {
  const { tenant, senders } = await team({ allowance: 40, overage: "bill" }, Array(20).fill(null));
  const race = scene.load(tenant, { senders, sessions: 40, messages: 240 });
  await race.done;
  expect(acceptedUnits(race.seen)).toBe(120);
  expect(await scene.check()).toMatchObject(sound);
});

test("a flushed Redis and an old image of it, both in the middle of a race, cost no unit and let none slip", async () => {
  const { tenant, senders } = await team({ allowance: 500 }, [120, 120, 120, 120]);
  const race = scene.load(tenant, { senders, sessions: 20, messages: 700 });
  await race.more(60, "accepted");
  const key = await keyOf(tenant);
  const image = await redis.redis.dumpBuffer(key);
  await race.more(120, "accepted");
  await redis.redis.flushall();
  await race.more(120, "accepted");
  await redis.redis.restore(key, 0, image!, "REPLACE");
  await race.done;
  expect(acceptedUnits(race.seen)).toBe(480);
  expect(refusals(race.seen)).toEqual(["550 5.4.5 [QUOTA-SUBACCOUNT]"]);
  expect(await scene.check()).toMatchObject(sound);
});

test("while Redis is stopped acceptance goes on, exactly; when it is back it is used again", async () => {
  const tenant = await createTenant(relay, { limit: 1_000_000 });
  const load = scene.load(tenant, { sessions: 10, units: (n) => 1 + (n % 3) });
  const logged = (event: string) => relay.log.filter((line) => line.event === event).length;
  await load.more(50, "accepted");
  await redis.server.stop("SIGKILL");
  await load.more(100, "accepted");
  expect(logged("quota.breaker_opened")).toBe(1);
  await redis.server.start();
  await eventually(async () => logged("quota.breaker_closed") === 1, "the breaker closes");
  await load.more(50, "accepted");
  expect(await keyOf(tenant)).toContain("pm:");
  const limit = acceptedUnits(load.seen) + 3000;
  await relay.call(
    "PATCH",
    `/v1/subaccounts/${tenant.subaccountId}`,
    { monthly_limit: limit },
    { key: tenant.masterKey },
  );
  await load.more(50, "refused");
  expect(acceptedUnits(await load.stop())).toBe(limit);
  expect(await scene.check()).toMatchObject(sound);
});

test("Redis may believe what it will: the door has the last word", async () => {
  const tenant = await createTenant(relay, { limit: 100 });
  const race = scene.load(tenant, { sessions: 50, messages: 250 });
  await race.more(20, "accepted");
  await lie(tenant);
  await race.done;
  expect(acceptedUnits(race.seen)).toBe(100);
  expect(await scene.check()).toMatchObject(sound);
});

test("control: without the check at the door the same race oversells, and the books show it", async () => {
  const tenant = await createTenant(relay, { limit: 100 });
  const repair = await mutateFunction(scene.database, "accept_batch", {
    from: "cur[s] + u > k_cap[s]",
    to: "false",
  });
  try {
    const race = scene.load(tenant, { sessions: 50, messages: 250 });
    await race.more(20, "accepted");
    await lie(tenant);
    await race.done;
    expect(acceptedUnits(race.seen)).toBeGreaterThan(100);
    const { faults } = await scene.check();
    expect(faults).toContainEqual(expect.stringMatching(/^sub_\w+ has used 2\d\d of 100$/));
  } finally {
    await repair();
  }
});
