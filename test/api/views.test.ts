/** Saved views: what they find, who sees them, who changes them. */
import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
for (const [name, plan, limit] of [
  ["Corner Shop", "gold", 100],
  ["Mill", "gold", 300],
  ["Bakery", "tin", 200],
] as const) {
  await newSubaccount(door, master, { name, plan, monthly_limit: limit, metadata: { tier: name[0] } });
}
const second = (await call("POST", "/v1/keys", { key, body: { name: "second", scopes: ["full"] } })).body.key;
const other = await newMaster(door, { name: "Other" });

const save = async (body: unknown, by = key) => {
  const answer = await call("POST", "/v1/views", { key: by, body });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.id as string;
};
const namesOf = async (query: string, by = key) => {
  const answer = await call("GET", `/v1/subaccounts?${query}`, { key: by });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.data.map(({ name }: { name: string }) => name);
};

test("a view finds what its search would, in its order; what is asked for beside it wins", async () => {
  const view = await save({
    name: "Gold",
    filter: { plan: "gold" },
    sort: "-monthly_limit",
    columns: ["name", "plan"],
  });
  expect(await namesOf(`view=${view}`)).toEqual(["Mill", "Corner Shop"]);
  expect(await namesOf(`view=${view}&sort=name`)).toEqual(["Corner Shop", "Mill"]);
  expect(await namesOf(`view=${view}&plan=tin`)).toEqual(["Bakery"]);
  expect(await namesOf(`view=${view}&q=mill`)).toEqual(["Mill"]);
  const csv = { Accept: "text/csv" };
  const table = await call("GET", `/v1/subaccounts?view=${view}`, { key, headers: csv });
  expect(table.text).toBe('name,plan\r\n"Mill","gold"\r\n"Corner Shop","gold"\r\n');
  const narrower = await call("GET", `/v1/subaccounts?view=${view}&columns=name`, { key, headers: csv });
  expect(narrower.text).toBe('name\r\n"Mill"\r\n"Corner Shop"\r\n');
});

test("numbers, truths and members of the metadata are taken as the query takes them", async () => {
  const view = await save({ name: "v", filter: { monthly_limit_gte: 200, unlimited: false, "metadata.tier": "M" } });
  expect(await namesOf(`view=${view}`)).toEqual(["Mill"]);
  const { body } = await call("GET", `/v1/views/${view}`, { key });
  expect(body.filter).toEqual({ monthly_limit_gte: "200", unlimited: "false", "metadata.tier": "M" });
});

test.each([
  [{ filter: { nothing: 1 } }, "/filter/nothing"],
  [{ filter: { state: "happy" } }, "/filter/state"],
  [{ filter: { used_percent_gte: -1 } }, "/filter/used_percent_gte"],
  [{ filter: { master_id: "x" } }, "/filter/master_id"],
  [{ filter: { cursor: "x" } }, "/filter/cursor"],
  [{ filter: { view: "x" } }, "/filter/view"],
  [{ sort: "nothing" }, "/sort"],
  [{ columns: ["secret"] }, "/columns/0"],
  [{ columns: [] }, "/columns"],
  [{ name: " " }, "/name"],
  [{ owner: "operator" }, "/owner"],
])("%j is refused at %s, when it is saved and when it is changed", async (members, pointer) => {
  const view = await save({ name: "good" });
  for (const [method, path] of [
    ["POST", "/v1/views"],
    ["PATCH", `/v1/views/${view}`],
  ] as const) {
    const answer = await call(method, path, { key, body: { ...(method === "POST" && { name: "x" }), ...members } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  }
});

test("a view that was changed meanwhile starts its pages again", async () => {
  const view = await save({ name: "pages", sort: "name" });
  const first = await call("GET", `/v1/subaccounts?view=${view}&limit=1`, { key });
  const next = `/v1/subaccounts?view=${view}&limit=1&cursor=${first.body.next_cursor}`;
  expect((await call("GET", next, { key })).body.data[0].name).toBe("Corner Shop");
  await call("PATCH", `/v1/views/${view}`, { key, body: { sort: "plan,name" } });
  const stale = await call("GET", next, { key });
  expect([stale.status, stale.body.errors[0].pointer]).toEqual([422, "/cursor"]);
});

describe("who sees and who changes", () => {
  test("a view is its owner's alone, until it is shared", async () => {
    const view = await save({ name: "mine" });
    const path = `/v1/views/${view}`;
    const seen = async (by: string) => (await call("GET", path, { key: by })).status;
    expect([await seen(key), await seen(second), await seen(other.key)]).toEqual([200, 404, 404]);
    expect((await call("PATCH", path, { key: second, body: { name: "x" } })).status).toBe(404);
    expect((await call("GET", `/v1/subaccounts?view=${view}`, { key: second })).status).toBe(404);
    const shared = await call("PATCH", path, { key, body: { shared: true } });
    expect(shared.body).toMatchObject({ shared: true, mine: true, owner: expect.stringMatching(/^key_/) });
    expect([await seen(key), await seen(second), await seen(other.key)]).toEqual([200, 200, 404]);
    const listed = await call("GET", "/v1/views?limit=100", { key: second });
    expect(listed.body.data.find(({ id }: { id: string }) => id === view)).toMatchObject({ mine: false });
    expect((await call("PATCH", path, { key: second, body: { name: "x" } })).status).toBe(403);
    expect((await call("DELETE", path, { key: second })).status).toBe(403);
    expect((await call("DELETE", path, { key })).status).toBe(204);
    expect(await seen(second)).toBe(404);
  });

  test("a shared view finds what its user may see, and nothing of who saved it", async () => {
    const view = await save({ name: "all", shared: true }, OPERATOR_KEY);
    expect((await call("GET", `/v1/subaccounts?view=${view}`, { key })).status).toBe(404);
    const names = await namesOf(`view=${view}`, OPERATOR_KEY);
    expect(names).toContain("Mill");
    const acting = await call("POST", "/v1/views", {
      key: OPERATOR_KEY,
      account: master.masterId,
      body: { name: "for you", shared: true },
    });
    expect(acting.body.owner).toBe("operator");
    expect(await namesOf(`view=${acting.body.id}`)).toHaveLength(3);
    expect((await call("GET", `/v1/views/${acting.body.id}`, { key: other.key })).status).toBe(404);
  });

  test("of two that change the same version one is told", async () => {
    const view = await save({ name: "raced" });
    const headers = { "If-Match": '"1"' };
    const change = (name: string) => call("PATCH", `/v1/views/${view}`, { key, body: { name }, headers });
    const statuses = (await Promise.all([change("a"), change("b")])).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 412]);
  });
});

test("each change of a view is audited", async () => {
  const view = await save({ name: "audited" });
  await call("PATCH", `/v1/views/${view}`, { key, body: { sort: "name" } });
  await call("DELETE", `/v1/views/${view}`, { key });
  const { body } = await call("GET", `/v1/audit?target=${view}`, { key });
  expect(body.data.map(({ action }: { action: string }) => action)).toEqual([
    "view.deleted",
    "view.changed",
    "view.created",
  ]);
  expect(body.data[1]).toMatchObject({ before: { sort: null }, after: { sort: "name" } });
});
