/** Invented tenants over the whole program: a world is made, lives through its deeds, and is looked at from every side. */
import fc from "fast-check";
import { shownOf } from "../api/strangers.ts";
import { quiet, receivedBy } from "../support/arrivals.ts";
import { audit } from "../support/conservation.ts";
import type { Answer } from "../support/relay.ts";
import { act, asCall, type Deed, deeds, lists } from "./tenants-deeds.ts";
import { count, type Stage } from "./tenants-stage.ts";
import { type Customer, customersOf, type Master, usedOf, viewOf, type World } from "./tenants-world.ts";

export type Plan = Readonly<{
  masters: readonly Readonly<{ allowance: number; anySender: boolean; limits: readonly number[] }>[];
  deeds: readonly Deed[];
}>;

export type Figures = {
  worlds: number;
  tenants: number;
  deeds: number;
  sends: number;
  accepted: number;
  looks: number;
};
export const noFigures = (): Figures => ({ worlds: 0, tenants: 0, deeds: 0, sends: 0, accepted: 0, looks: 0 });

/** Sending comes oftener than the rest. */
const names = [...Object.keys(deeds), ...Array<string>(10).fill("send"), "intrude", "prove"] as Deed["deed"][];

/** Small numbers are nothing special here. */
const any = (max: number) => fc.noBias(fc.nat(max));

function plans(mostDeeds: number): fc.Arbitrary<Plan> {
  const limits = fc.array(fc.nat(30), { minLength: 1, maxLength: 3 });
  const plain = { noNullPrototype: true };
  const master = fc.record(
    { allowance: fc.integer({ min: 5, max: 80 }), anySender: fc.constantFrom(true, true, false), limits },
    plain,
  );
  const deed = fc.record(
    {
      deed: fc.constantFrom(...names),
      who: any(99),
      other: any(99),
      n: any(9_999),
    },
    plain,
  );
  return fc.record(
    {
      masters: fc.array(master, { minLength: 2, maxLength: 3 }),
      deeds: fc.array(deed, { minLength: 1, maxLength: mostDeeds, size: "max" }),
    },
    plain,
  );
}

/** A failure shows the plan of the world, its seed, and all that was wrong. */
export function holds(stage: Stage, mostDeeds: number): fc.IAsyncProperty<[Plan]> {
  return fc.asyncProperty(plans(mostDeeds), async (plan) => {
    const faults = await play(stage, plan);
    if (faults.length > 0) throw new Error(faults.join("\n"));
  });
}

/** Lives one world; gives a line for each thing that is not as it must be. */
async function play(stage: Stage, plan: Plan): Promise<string[]> {
  const world = await invent(stage, plan);
  const faults: string[] = [];
  for (const [i, deed] of plan.deeds.entries()) {
    for (const fault of await act(stage, world, deed)) faults.push(`deed ${i + 1}: ${fault}`);
  }
  faults.push(...(await judge(stage, world)));
  for (const { end } of stage.sessions.values()) end();
  stage.sessions.clear();
  count(stage, "worlds");
  count(stage, "tenants", world.masters.length + customersOf(world).length);
  count(stage, "deeds", plan.deeds.length);
  return faults;
}

let marks = 0;
const newMark = () => `mark-${++marks}-x`;

async function invent(stage: Stage, plan: Plan): Promise<World> {
  const root = `w${++marks}`;
  const names = ["a", "b", "c", "d", "e", "f"].map((letter) => `${root}${letter}.example`);
  names.push(`news.${names[0]}`);
  const world: World = { masters: [], domains: [], names, sent: [] };
  for (const told of plan.masters) world.masters.push(await found(stage, told));
  // A domain for each while there are any: a number that chooses its place, and is no multiple of three, which means the master's.
  for (const who of customersOf(world).keys()) {
    await act(stage, world, { deed: "prove", who, other: 0, n: who % 3 === 0 ? who + names.length : who });
  }
  return world;
}

async function found({ relay }: Stage, { allowance, anySender, limits }: Plan["masters"][number]): Promise<Master> {
  const mark = newMark();
  const { body } = await relay.call("POST", "/v1/masters", {
    name: mark,
    allowance,
    notification_emails: [`ops@${mark}.example`],
    sender_policy: anySender ? "any" : "verified",
  });
  const { id, api_key: apiKey } = body;
  const own = { kind: "master", id, key: apiKey.key, keyId: apiKey.id } as const;
  const master: Master = { ...own, mark, allowance, suspended: false, anySender, customers: [] };
  for (const limit of limits) master.customers.push(await hire(relay, master, Math.min(limit, allowance)));
  return master;
}

async function hire(relay: Stage["relay"], master: Master, limit: number): Promise<Customer> {
  const mark = newMark();
  const { key } = master;
  const facts = { name: mark, notes: mark, external_id: mark, plan: mark, metadata: { mark } };
  const made = await relay.call("POST", "/v1/subaccounts", { ...facts, monthly_limit: limit }, { key });
  const { id, credential } = made.body;
  const ask = { name: mark, scopes: ["full"], subaccount_id: id };
  const { body: own } = await relay.call("POST", "/v1/keys", ask, { key });
  const account = { kind: "customer", id, key: own.key, keyId: own.id, mark, master } as const;
  const counts = { limit, topUp: 0, used: 0, state: "active", before: "active", suspended: false } as const;
  return { ...account, ...counts, logins: [{ ...credential, revoked: false }] };
}

/** Nobody is held any more, then: isolation, the model's own figures, and the sum rule. */
async function judge(stage: Stage, world: World): Promise<string[]> {
  const { database, relay, redis, upstream } = stage;
  for (const account of [...world.masters, ...customersOf(world)]) {
    if (account.suspended)
      await relay.call("POST", `/v1/${account.kind === "master" ? "masters" : "subaccounts"}/${account.id}/resume`, {});
    account.suspended = false;
  }
  await quiet(database);
  const { faults } = await audit({
    database,
    relay,
    masters: world.masters.map(({ id, key }) => ({ masterId: id, masterKey: key })),
    seen: world.sent,
    arrived: receivedBy(upstream).filter(({ marker }) => world.sent.some((sent) => sent.marker === marker)),
    ...(redis === undefined ? {} : { redis: { client: redis.redis, exact: false } }),
  });
  return [...(await looks(stage, world)), ...(await sums(stage, world)), ...faults];
}

/** Every list, with every key that is one: nothing of others, and of the messages all the own. */
async function looks(stage: Stage, world: World): Promise<string[]> {
  const call = asCall(stage.relay);
  const faults: string[] = [];
  for (const account of [...world.masters, ...customersOf(world)]) {
    if (account.kind === "customer" && account.state === "closed") continue;
    const others = strangersTo(world, account).map((other) => viewOf(world, other));
    for (const { definition } of lists) {
      const answer = await call("GET", `${definition.path}`, { key: account.key });
      count(stage, "looks");
      for (const mark of shownOf(others, [], answer as Answer))
        faults.push(`${definition.path} shows ${account.mark} the ${mark} of another`);
    }
    const { body } = await call("GET", "/v1/messages?limit=100", { key: account.key });
    const shown = body.data.map(({ id }: { id: string }) => id).sort();
    const own = viewOf(world, account)
      .marks.filter((mark) => mark.startsWith("msg_"))
      .sort();
    if (`${shown}` !== `${own}`)
      faults.push(`${account.mark} is shown ${shown.length} messages, and has sent ${own.length}`);
  }
  return faults;
}

/** A master is a stranger to other masters with all they have, a customer to all but itself. */
function strangersTo({ masters }: World, account: Master | Customer): (Master | Customer)[] {
  const mine = account.kind === "master" ? account : account.master;
  const siblings = account.kind === "master" ? [] : mine.customers.filter((one) => one !== account);
  return [...masters.filter((one) => one !== mine), ...siblings];
}

async function sums({ relay }: Stage, world: World): Promise<string[]> {
  const faults: string[] = [];
  const compare = (what: string, is: unknown, wanted: unknown) => {
    if (is !== wanted) faults.push(`${what} is ${is}, not ${wanted}`);
  };
  for (const master of world.masters) {
    const ask = async (path: string) => (await relay.call("GET", path, undefined, { key: master.key })).body;
    const all = await ask("/v1/usage");
    compare(`what ${master.mark} has used`, all.used, usedOf(master));
    compare(`the allowance of ${master.mark}`, all.allowance, master.allowance);
    for (const { id, mark, used, limit, topUp } of master.customers) {
      const usage = await ask(`/v1/subaccounts/${id}/usage`);
      compare(`what ${mark} has used`, usage.used, used);
      compare(`the limit of ${mark}`, usage.limit, limit);
      compare(`the top-up of ${mark}`, usage.top_up, topUp);
      compare(`what is left of ${mark}`, usage.remaining, limit === null ? null : Math.max(0, limit + topUp - used));
    }
  }
  return faults;
}
