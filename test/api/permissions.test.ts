/** Every route, every kind of caller, the own things and those of others. */
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/api/endpoint.ts";
import { type Answer, OPERATOR_KEY, openDoor } from "./client.ts";
import { sampleBodies } from "./sample-bodies.ts";
import { isThing, pathOf } from "./strangers.ts";
import { type Account, createWorld, type Things } from "./world.ts";

const door = await openDoor();
const world = await createWorld(door);
const { endpoints } = door.app;

const scopedKeys = new Map<string, string>();
for (const scope of ["read", "send", "billing"]) {
  const made = await door.call("POST", "/v1/keys", { key: world.master.key, body: { name: scope, scopes: [scope] } });
  scopedKeys.set(scope, made.body.key);
}

const named = endpoints
  .filter(({ definition }) => !definition.access.people)
  .map((endpoint): [string, Endpoint] => {
    const { method, path } = endpoint.definition;
    return [`${method.toUpperCase()} ${path}`, endpoint];
  });
const withId = named.filter(([, endpoint]) => isThing(endpoint));

function ask(name: string, endpoint: Endpoint, things: Things, key?: string, account?: string): Promise<Answer> {
  const body = sampleBodies[name];
  return door.call(endpoint.definition.method.toUpperCase(), pathOf(endpoint, things), {
    ...(key === undefined ? {} : { key }),
    ...(account === undefined ? {} : { account }),
    ...(body === undefined ? {} : { body }),
  });
}

function expectNothingOf(others: readonly Account[], answer: Answer, mine: Account): void {
  for (const mark of others.flatMap(({ marks }) => marks).filter((one) => !mine.marks.includes(one))) {
    expect(answer.text, `an answer with what is not the caller's: ${mark}`).not.toContain(mark);
  }
}

const theirs = [world.foreign, world.foreignCustomer];

describe("without a valid key", () => {
  test.each(named)("%s is 401 and tells how to log in", async (name, endpoint) => {
    for (const key of [undefined, "pm_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x", ""]) {
      const answer = await ask(name, endpoint, world.master.things, key);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      expectNothingOf([world.master, ...theirs], answer, { key: "", things: world.master.things, marks: [] });
    }
  });
});

describe("a kind of caller that the route is not for", () => {
  const callers = [
    ["operator", OPERATOR_KEY],
    ["master", world.master.key],
    ["subaccount", world.customer.key],
  ] as const;
  for (const [kind, key] of callers) {
    const closed = named.filter(([, { definition }]) => !definition.access.who.includes(kind));
    test.each(closed)(`%s is 403 for a ${kind}, whose-ever the id is`, async (name, endpoint) => {
      for (const things of [world.customer.things, world.foreign.things]) {
        const answer = await ask(name, endpoint, things, key);
        expect([answer.status, answer.body.type]).toEqual([403, "/problems/forbidden"]);
      }
    });
  }
});

describe("things of others", () => {
  const forMasters = withId.filter(([, { definition }]) => definition.access.who.includes("master"));
  test.each(forMasters)("%s is 404 for another master", async (name, endpoint) => {
    const answer = await ask(name, endpoint, world.foreign.things, world.master.key);
    expect(answer.status).toBe(404);
    expectNothingOf(theirs, answer, world.master);
    const unknown = await ask(name, endpoint, unknownThings(world.foreign.things), world.master.key);
    expect({ ...unknown.body, instance: 0 }).toEqual({ ...answer.body, instance: 0 });
  });

  const forSubaccounts = withId.filter(([, { definition }]) => definition.access.who.includes("subaccount"));
  test.each(forSubaccounts)("%s is 404 for a sibling and for a stranger", async (name, endpoint) => {
    for (const other of [world.sibling, world.foreignCustomer]) {
      const answer = await ask(name, endpoint, other.things, world.customer.key);
      expect(answer.status).toBe(404);
      expectNothingOf([other], answer, world.customer);
    }
  });

  test.each(withId)("%s is 404 for what is no id of that kind", async (name, endpoint) => {
    const [who] = endpoint.definition.access.who;
    const key = who === "operator" ? OPERATOR_KEY : world.master.key;
    for (const id of ["x", "sub_", "null", "..%2f..", "%00", "%ff", "1 or 1=1", `msg_${"7".repeat(26)}`, "🦀"]) {
      const things = Object.fromEntries(Object.keys(world.master.things).map((kind) => [kind, encodeURI(id)]));
      const answer = await ask(name, endpoint, things as Things, key);
      expect(answer.status, id).toBe(404);
    }
  });
});

describe("acting for an account", () => {
  const { master, customer, foreign, foreignCustomer, sibling } = world;
  test.each([
    ["a master for another master", master.key, foreign.things.mas],
    ["a master for another's subaccount", master.key, foreignCustomer.things.sub],
    ["a master for another's subaccount by its external id", master.key, "ext:ext-STRANGER"],
    ["a subaccount for its sibling", customer.key, sibling.things.sub],
    ["a subaccount for its master", customer.key, master.things.mas],
    ["a subaccount for a stranger", customer.key, foreignCustomer.things.sub],
    ["the operator by an external id alone", OPERATOR_KEY, "ext:ext-STRANGER"],
    ["anyone for nothing", master.key, "ext:"],
    ["anyone for what is no account", master.key, "x"],
  ])("%s is 404", async (_, key, account) => {
    for (const path of ["/v1/account", "/v1/usage", "/v1/subaccounts"]) {
      expect((await door.call("GET", path, { key, account })).status).toBe(404);
    }
  });

  test("a master narrowed to a subaccount sees what that sees, and may do no more", async () => {
    for (const account of [customer.things.sub, "ext:ext-CUSTOMER"]) {
      const own = await door.call("GET", "/v1/account", { key: master.key, account });
      expect(own.body.id).toBe(customer.things.sub);
      expect(own.body.name).toBeUndefined();
      expect((await door.call("GET", "/v1/subaccounts", { key: master.key, account })).status).toBe(403);
      const messages = await door.call("GET", "/v1/messages", { key: master.key, account });
      expect(messages.body.data.map(({ id }: { id: string }) => id)).toEqual([customer.things.msg]);
      const other = await door.call("GET", `/v1/messages/${sibling.things.msg}`, { key: master.key, account });
      expect(other.status).toBe(404);
    }
  });

  test("the operator acts for a master and for a subaccount", async () => {
    const asMaster = await door.call("GET", "/v1/account", { key: OPERATOR_KEY, account: master.things.mas });
    expect(asMaster.body.id).toBe(master.things.mas);
    const asSub = await door.call("GET", "/v1/account", { key: OPERATOR_KEY, account: customer.things.sub });
    expect(asSub.body.id).toBe(customer.things.sub);
    const suspended = await door.call("POST", `/v1/subaccounts/${sibling.things.sub}/suspend`, {
      key: OPERATOR_KEY,
      account: master.things.mas,
    });
    expect([suspended.status, suspended.body.state]).toEqual([200, "suspended"]);
    await door.call("POST", `/v1/subaccounts/${sibling.things.sub}/resume`, { key: OPERATOR_KEY });
    const foreignSub = await door.call("POST", `/v1/subaccounts/${foreignCustomer.things.sub}/suspend`, {
      key: OPERATOR_KEY,
      account: master.things.mas,
    });
    expect(foreignSub.status).toBe(404);
  });
});

describe("what a caller is shown", () => {
  const readable = named.filter(([, { definition }]) => definition.method === "get");
  test.each(readable)("%s shows each kind of caller its own, and nothing of others", async (name, endpoint) => {
    const { who } = endpoint.definition.access;
    if (who.includes("operator")) {
      expect((await ask(name, endpoint, world.foreign.things, OPERATOR_KEY)).status).toBe(200);
    }
    if (who.includes("master")) {
      const answer = await ask(name, endpoint, world.master.things, world.master.key);
      expect(answer.status).toBe(200);
      expectNothingOf(theirs, answer, world.master);
    }
    if (who.includes("subaccount")) {
      const answer = await ask(name, endpoint, world.customer.things, world.customer.key);
      expect(answer.status).toBe(200);
      expectNothingOf([world.sibling, ...theirs], answer, world.customer);
      expect(answer.text).not.toMatch(/OURS|1000000|master_remaining|notes of|"plan"|external_id/);
    }
  });

  const lists = readable.filter(([, { definition }]) => !definition.path.includes("{"));
  test.each(lists)("%s finds nothing of others by their ids either", async (_, { definition }) => {
    const { who } = definition.access;
    const filters = [`subaccount_id=${world.foreignCustomer.things.sub}`, `message_id=${world.foreign.things.msg}`];
    filters.push(`master_id=${world.foreign.things.mas}`, "q=STRANGER", "recipient=to@STRANGER.example");
    for (const filter of who.includes("master") ? filters : []) {
      const answer = await door.call("GET", `${definition.path}?${filter}`, { key: world.master.key });
      if (answer.status === 200) expectNothingOf(theirs, answer, world.master);
      else expect([404, 422]).toContain(answer.status);
    }
  });
});

describe("controls: the searches above would find what they look for", () => {
  test("the operator's view shows the marks of both tenants", async () => {
    for (const path of ["/v1/subaccounts", "/v1/messages", "/v1/captured", "/v1/events", "/v1/domains"]) {
      const { text } = await door.call("GET", `${path}?limit=100`, { key: OPERATOR_KEY });
      for (const mark of ["CUSTOMER", "STRANGER"]) expect(text.toUpperCase(), path).toContain(mark);
    }
  });

  test("an answer with a stranger's mark is noticed", async () => {
    const answer = await door.call("GET", `/v1/messages/${world.foreign.things.msg}`, { key: OPERATOR_KEY });
    expect(() => expectNothingOf(theirs, answer, world.master)).toThrow("not the caller's");
  });

  test("the same things are found by their own tenant", async () => {
    for (const [name, endpoint] of withId.filter(([, { definition }]) => definition.method === "get")) {
      const { who } = endpoint.definition.access;
      if (!who.includes("master")) continue;
      expect((await ask(name, endpoint, world.foreign.things, world.foreign.key)).status, name).toBe(200);
    }
  });
});

describe("scopes", () => {
  const forMasters = named.filter(([, { definition }]) => definition.access.who.includes("master"));

  test.each(forMasters)("%s asks for one of its scopes", async (name, endpoint) => {
    for (const [scope, key] of scopedKeys) {
      const allowed = endpoint.definition.access.scopes.some((one) => one === scope);
      const answer = await ask(name, endpoint, unknownThings(world.master.things), key);
      if (allowed) expect(answer.status, scope).not.toBe(403);
      else expect([answer.status, answer.body.type], scope).toEqual([403, "/problems/forbidden"]);
    }
  });

  test("only full changes anything", () => {
    const changing = endpoints.filter(({ definition }) => definition.method !== "get");
    expect(changing.length).toBeGreaterThan(15);
    for (const { definition } of changing) expect(definition.access.scopes, definition.path).toSatisfy(onlyPart);
    const billing = changing.filter(({ definition }) => definition.access.scopes.includes("billing"));
    expect(billing.map(({ definition: { method, path } }) => `${method} ${path}`)).toEqual([
      "patch /v1/subaccounts/{id}",
    ]);
  });

  test("a key is no person: what somebody does to his own log-in is 403", async () => {
    const personal = endpoints.filter(({ definition }) => definition.access.people);
    expect(personal.length).toBeGreaterThan(5);
    for (const endpoint of personal) {
      const { method, path } = endpoint.definition;
      const answer = await ask(`${method.toUpperCase()} ${path}`, endpoint, world.master.things, world.master.key);
      expect([answer.status, answer.body.type], path).toEqual([403, "/problems/forbidden"]);
    }
  });
});

/** What a developer or a biller looks after may be changed with a part of the rights; all else with all. */
const onlyPart = (scopes: readonly string[]) => ["", "develop", "billing"].includes(scopes.join());

/** Ids that nothing has. */
function unknownThings(things: Things): Things {
  const swap = (id: string) => `${id.slice(0, -4)}0000`;
  return Object.fromEntries(Object.entries(things).map(([kind, id]) => [kind, swap(id)])) as Things;
}
