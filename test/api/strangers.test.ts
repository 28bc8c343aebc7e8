/** Every route, every stranger: nothing of others is shown or changed, whatever is tried. Routes that are new are tried, too. */
import { dirname, join } from "node:path";
import { sql } from "kysely";
import { describe, expect, test, vi } from "vitest";
import type { createApp } from "../../src/api/app.ts";
import { mutateProgram } from "../support/mutant.ts";
import { type Answer, newMaster, newSubaccount, OPERATOR_KEY, openDoor, send } from "./client.ts";
import { sampleBodies } from "./sample-bodies.ts";
import { nameOf, pathOf, type Stranger, shownOf, tryAll } from "./strangers.ts";
import { createWorld, type Things } from "./world.ts";

/** Every route there is, several times: time ends only what would fail anyway. */
vi.setConfig({ testTimeout: 120_000 });

const door = await openDoor();
const world = await createWorld(door);
const { endpoints } = door.app;
const master = { caller: world.master, others: [world.foreign, world.foreignCustomer] };
const customer = { caller: world.customer, others: [world.sibling, world.foreign] };
/** The operator, who acts for one of them. */
const actingFor = ({ caller, others }: Stranger, as: string) => ({
  caller: { ...caller, key: OPERATOR_KEY },
  others,
  as,
});

const tables = [
  "master",
  "subaccount",
  "credential",
  "api_key",
  "top_up",
  "sender_domain",
  "domain_grant",
  "hold",
  "brand",
];

async function stored(): Promise<string> {
  const parts = tables.map((table) =>
    sql.raw(
      `(select md5(string_agg((to_jsonb(t) - 'last_used_at')::text, '' order by t::text)) from ${table} t) as ${table}`,
    ),
  );
  return JSON.stringify((await sql`select ${sql.join(parts)}`.execute(door.database.db)).rows);
}

test.each([
  ["a master", master],
  ["a subaccount", customer],
  ["the operator who acts for a master", actingFor(master, world.master.things.mas)],
  ["the operator who acts for a subaccount", actingFor(customer, world.customer.things.sub)],
])("%s is shown nothing of others, and changes nothing of theirs", async (_, stranger) => {
  const others = (await door.call("GET", "/v1/subaccounts?limit=100", { key: world.foreign.key })).text;
  const reads = endpoints.filter(({ definition: { method, path } }) => method === "get" || path.includes("{"));
  expect(await tryAll(door.call, reads, stranger)).toEqual([]);
  expect((await door.call("GET", "/v1/subaccounts?limit=100", { key: world.foreign.key })).text).toBe(others);
});

test.each(["suspend", "disable"])(
  "a subaccount that its betters %s is shown nothing of others, and changes nothing",
  async (verb) => {
    const reads = endpoints.filter(({ definition: { method, path } }) => method === "get" || path.includes("{"));
    const { sub } = world.sibling.things;
    await door.call("POST", `/v1/subaccounts/${sub}/${verb}`, { key: OPERATOR_KEY });
    const before = await stored();
    const stranger = { caller: world.sibling, others: [world.customer, world.foreign] };
    expect(await tryAll(door.call, reads, stranger)).toEqual([]);
    expect(await stored()).toBe(before);
    await door.call("POST", `/v1/subaccounts/${sub}/${verb === "suspend" ? "resume" : "enable"}`, {
      key: OPERATOR_KEY,
    });
  },
);

describe("controls: a look-up that forgets whose it is", () => {
  const byMaster = `if (masterId !== null) query = query.where("master_id", "=", masterId);`;
  test.each([
    ["subaccounts", "accounts/find.ts", byMaster.replace('"master_id"', '"s.master_id"')],
    ["credentials", "accounts/credentials.ts", byMaster],
    ["keys", "accounts/keys.ts", byMaster],
    [
      "messages",
      "spool/inspect.ts",
      byMaster.replace("query = query", "narrowed = narrowed").replace('"master', '"m.master'),
    ],
    ["captured", "delivery/captured.ts", byMaster],
    ["domains", "domains/list.ts", byMaster],
    ["audit", "audit/list.ts", byMaster.replace("!==", "!=")],
    ["masters", "accounts/list-masters.ts", byMaster.replace('"master_id"', '"id"')],
  ])("in %s is noticed", async (path, file, from) => {
    const main = mutateProgram(`src/${file}`, { from, to: "" });
    const module = (await import(join(dirname(main), "api", "app.ts"))) as { createApp: typeof createApp };
    const app = module.createApp(door.deps);
    const concerned = app.endpoints.filter(
      ({ definition: { method, path: own } }) =>
        own.startsWith(`/v1/${path}`) && (method === "get" || path === "credentials"),
    );
    const stranger = path === "masters" ? actingFor(master, world.master.things.mas) : master;
    const found = await tryAll((method, url, ask = {}) => send(app, method, url, ask), concerned, stranger);
    expect(found.join("\n")).toMatch(/shows/);
  });
});

describe("keys that are dead", () => {
  test("of a revoked key, a closed subaccount and a closed master every route is 401", async () => {
    const gone = await newMaster(door);
    const [shut, revoked] = [await newSubaccount(door, gone), await newSubaccount(door, gone)];
    const { body: key } = await door.call("POST", "/v1/keys", { key: gone.key, body: { name: "k", scopes: ["full"] } });
    await door.call("DELETE", `/v1/keys/${key.id}`, { key: gone.key });
    await door.call("POST", `/v1/subaccounts/${shut.id}/close`, { key: gone.key });
    const other = await newMaster(door);
    await door.call("POST", `/v1/masters/${other.masterId}/close`, { key: OPERATOR_KEY });
    for (const endpoint of endpoints) {
      for (const dead of [key.key, shut.key, other.key]) {
        const body = sampleBodies[nameOf(endpoint)];
        const ask = { key: dead, ...(body === undefined ? {} : { body }) };
        const method = endpoint.definition.method.toUpperCase();
        const answer = await door.call(method, pathOf(endpoint, world.master.things), ask);
        expect([answer.status, shownOf([world.master], [], answer)], nameOf(endpoint)).toEqual([401, []]);
      }
    }
    expect((await door.call("GET", "/v1/account", { key: revoked.key })).status).toBe(200);
  });

  test("a suspended master changes nothing, and of others it is still shown nothing", async () => {
    const held = await newMaster(door);
    await newSubaccount(door, held);
    await door.call("POST", `/v1/masters/${held.masterId}/suspend`, { key: OPERATOR_KEY });
    const before = await stored();
    for (const endpoint of endpoints) {
      const body = sampleBodies[nameOf(endpoint)];
      const method = endpoint.definition.method.toUpperCase();
      const ask = { key: held.key, ...(body === undefined ? {} : { body }) };
      const answer = await door.call(method, pathOf(endpoint, world.master.things), ask);
      expect(shownOf([world.master, ...master.others], [], answer), nameOf(endpoint)).toEqual([]);
      const wanted = method === "GET" ? [200, 403, 404] : [403];
      expect(wanted, `${nameOf(endpoint)} is ${answer.status}`).toContain(answer.status);
    }
    expect(await stored()).toBe(before);
  });
});

type Shape = { properties?: Record<string, Shape>; items?: Shape; $ref?: string; allOf?: Shape[]; anyOf?: Shape[] };
const document = (await door.call("GET", "/openapi.json")).body;

/** The names of all members of all that is ever answered. */
function answered(): string[] {
  const names = new Set<string>();
  const walk = (shape: Shape | undefined) => {
    if (shape === undefined) return;
    for (const [name, inner] of Object.entries(shape.properties ?? {})) {
      names.add(name);
      walk(inner);
    }
    for (const inner of [shape.items, ...(shape.allOf ?? []), ...(shape.anyOf ?? [])]) walk(inner);
  };
  for (const shape of Object.values<Shape>(document.components.schemas)) walk(shape);
  for (const name of ["master_id", "own", "version", "secret_hash", "key_hash", "subaccount_id", "suspended_at"])
    names.add(name);
  return [...names];
}

/** Of a body, in any of its forms. */
function membersOf(shape: Shape): string[] {
  if (shape.$ref !== undefined) return membersOf(document.components.schemas[shape.$ref.split("/").at(-1) ?? ""]);
  return [...Object.keys(shape.properties ?? {}), ...(shape.anyOf ?? []).flatMap(membersOf)];
}

const changing = endpoints.filter(({ definition: { body, access } }) => body !== undefined && !access.people);

test.each(changing.map((endpoint) => [nameOf(endpoint), endpoint] as const))(
  "%s takes no member that is only shown",
  async (name, endpoint) => {
    const { path, method, access } = endpoint.definition;
    const { schema } = document.paths[path][method].requestBody.content["application/json"];
    const own = new Set(membersOf(schema));
    const planted = answered().filter((member) => !own.has(member));
    expect(planted.length).toBeGreaterThan(50);
    const before = await stored();
    const key = access.who.includes("master") ? world.master.key : OPERATOR_KEY;
    const given = { ...sampleBodies[name], ...Object.fromEntries(planted.map((member) => [member, "planted"])) };
    const answer = await door.call(method.toUpperCase(), pathOf(endpoint, world.customer.things), { key, body: given });
    expect(answer.status, answer.text).toBe(422);
    const refused = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer.slice(1));
    expect(planted.filter((member) => !refused.includes(member))).toEqual([]);
    expect(await stored()).toBe(before);
  },
);

test("the cursor of another tenant's list leads to nothing of theirs", async () => {
  const lists = endpoints.filter(({ definition: { method, path } }) => method === "get" && !path.includes("{"));
  let cursors = 0;
  for (const { definition } of lists) {
    if (!definition.access.who.includes("master")) continue;
    const theirs = await door.call("GET", `${definition.path}?limit=1`, { key: world.foreign.key });
    const cursor = theirs.body?.next_cursor;
    if (typeof cursor !== "string") continue;
    cursors++;
    for (const { caller, others } of [master, customer]) {
      const answer = await door.call("GET", `${definition.path}?limit=1&cursor=${cursor}`, { key: caller.key });
      expect(shownOf(others, caller.marks, answer), definition.path).toEqual([]);
    }
  }
  expect(cursors).toBeGreaterThan(2);
});

test("an Idempotency-Key of another tenant replays nothing, and of one's own it does", async () => {
  const creating = endpoints.filter(({ definition }) => definition.idempotent);
  expect(creating.length).toBeGreaterThan(3);
  for (const endpoint of creating) {
    const { who } = endpoint.definition.access;
    if (!who.includes("master")) continue;
    const headers = { "Idempotency-Key": `shared ${endpoint.definition.path}`.replaceAll(" ", "-") };
    const body = sampleBodies[nameOf(endpoint)];
    const ask = (key: string, things: Things): Promise<Answer> =>
      door.call("POST", pathOf(endpoint, things), { key, headers, ...(body === undefined ? {} : { body }) });
    const theirs = await ask(world.foreign.key, world.foreign.things);
    const again = await ask(world.foreign.key, world.foreign.things);
    expect([again.text, again.headers.get("idempotency-replayed")], nameOf(endpoint)).toEqual([theirs.text, "true"]);
    const ours = await ask(world.master.key, world.master.things);
    expect(ours.headers.get("idempotency-replayed"), nameOf(endpoint)).toBeNull();
    expect(shownOf(master.others, world.master.marks, ours)).toEqual([]);
    if (theirs.status === 201) expect(ours.text).not.toBe(theirs.text);
  }
});
