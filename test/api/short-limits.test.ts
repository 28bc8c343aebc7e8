/** Limits of a short time and the reserve, as they are given and shown. */
import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
const shop = await newSubaccount(door, master);
const path = `/v1/subaccounts/${shop.id}`;

test("they are given at creation, changed member by member, and taken away with null", async () => {
  const body = { name: "Shop", monthly_limit: 100, rate_limits: { minute: 10, hour: 50 }, reserve: 20 };
  const made = await call("POST", "/v1/subaccounts", { key, body });
  expect(made.body).toMatchObject({ rate_limits: { minute: 10, hour: 50 }, reserve: 20 });
  const at = `/v1/subaccounts/${made.body.id}`;
  const patch = async (body: object) => (await call("PATCH", at, { key, body })).body;
  expect(await patch({ rate_limits: { day: 200, minute: null } })).toMatchObject({
    rate_limits: { hour: 50, day: 200 },
  });
  expect((await patch({ rate_limits: { day: null } })).rate_limits).toEqual({ hour: 50 });
  expect(await patch({ rate_limits: { hour: null }, reserve: null })).toMatchObject({
    rate_limits: null,
    reserve: null,
  });
  expect((await patch({ rate_limits: null })).rate_limits).toBeNull();
});

test("what changes nothing keeps the version, whatever the order of its members", async () => {
  const first = await call("PATCH", path, { key, body: { rate_limits: { minute: 5, day: 9 } } });
  const again = await call("PATCH", path, { key, body: { rate_limits: { day: 9, minute: 5 } } });
  expect(again.headers.get("etag")).toBe(first.headers.get("etag"));
});

test("a credential's are given, changed, listed and audited", async () => {
  const made = await call("POST", `${path}/credentials`, {
    key,
    body: { name: "resets", transactional: true, rate_limits: { minute: 3 } },
  });
  expect(made.body).toMatchObject({ transactional: true, rate_limits: { minute: 3 } });
  const at = `/v1/credentials/${made.body.id}`;
  const changed = await call("PATCH", at, {
    key,
    body: { name: null, rate_limits: { hour: 30 }, transactional: false },
  });
  expect(changed.body).toMatchObject({ name: null, rate_limits: { hour: 30, minute: 3 }, transactional: false });
  const { body: list } = await call("GET", `${path}/credentials`, { key: shop.key });
  expect(list.data.at(-1)).toMatchObject({ rate_limits: { hour: 30, minute: 3 } });
  const { body: audit } = await call("GET", `/v1/audit?target=${made.body.id}`, { key });
  expect(audit.data[0]).toMatchObject({
    action: "credential.changed",
    before: { name: "resets", rate_limits: { minute: 3 }, transactional: true },
    after: { name: null, rate_limits: { hour: 30, minute: 3 }, transactional: false },
  });
  await call("DELETE", at, { key });
  expect((await call("PATCH", at, { key, body: { name: "x" } })).status).toBe(409);
});

test("a subaccount sees its limits and may not change them; of its credentials it may", async () => {
  expect((await call("GET", path, { key: shop.key })).body.rate_limits).toEqual({ day: 9, minute: 5 });
  expect((await call("PATCH", "/v1/account", { key: shop.key, body: { rate_limits: null } })).status).toBe(403);
  expect((await call("PATCH", "/v1/account", { key: shop.key, body: { reserve: 0 } })).status).toBe(403);
  const { body: made } = await call("POST", `${path}/credentials`, { key: shop.key });
  const change = await call("PATCH", `/v1/credentials/${made.id}`, {
    key: shop.key,
    body: { rate_limits: { day: 1 } },
  });
  expect(change.body.rate_limits).toEqual({ day: 1 });
});

describe("bad input", () => {
  test.each([
    ["a string", "many"],
    ["a list", [1]],
    ["another span", { week: 5 }],
    ["zero", { minute: 0 }],
    ["a fraction", { minute: 1.5 }],
    ["a text", { minute: "5" }],
    ["more than can be counted", { day: 2 ** 53 }],
  ])("%s is 422 and points at it", async (_, rate_limits) => {
    const answer = await call("PATCH", path, { key, body: { rate_limits } });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toMatch(/^\/rate_limits/);
  });

  test.each([-1, 1.5, "5", 2 ** 53])("a reserve of %s is 422", async (reserve) => {
    const answer = await call("PATCH", path, { key, body: { reserve } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, "/reserve"]);
  });

  test("another's credential is 404", async () => {
    const other = await newMaster(door);
    const { body: made } = await call("POST", `${path}/credentials`, { key });
    const answer = await call("PATCH", `/v1/credentials/${made.id}`, { key: other.key, body: { name: "mine" } });
    expect(answer.status).toBe(404);
    expect(
      (await call("PATCH", `/v1/credentials/${made.id}`, { key: OPERATOR_KEY, body: { name: "op" } })).status,
    ).toBe(200);
  });
});

describe("the daily cap of new subaccounts", () => {
  test("a master sets it for itself, sees it in force, and a subaccount sees its own", async () => {
    const body = { new_subaccount_daily_cap: { ramp: [200, 400] } };
    const set = await call("PATCH", "/v1/account", { key, body });
    expect(set.body.new_subaccount_daily_cap).toEqual({ ramp: [200, 400], from_limit: 5000 });
    const made = await newSubaccount(door, master, { monthly_limit: 5000 });
    const { body: shown } = await call("GET", `/v1/subaccounts/${made.id}`, { key: made.key });
    expect(shown).toMatchObject({ daily_cap_ramp: [200, 400], daily_cap: { units: 200, day: 1 } });
    const changed = await call("PATCH", `/v1/subaccounts/${made.id}`, { key, body: { daily_cap_ramp: null } });
    expect(changed.body).toMatchObject({ daily_cap_ramp: null, daily_cap: null });
    expect((await call("PATCH", "/v1/account", { key: made.key, body: { daily_cap_ramp: null } })).status).toBe(403);
    await call("PATCH", "/v1/account", { key, body: { new_subaccount_daily_cap: null } });
  });

  test.each([
    ["no ramp at all", { from_limit: 5 }],
    ["an empty one", { ramp: [] }],
    ["one that falls", { ramp: [5, 4] }],
    ["a day of zero", { ramp: [0, 4] }],
    ["more days than a quarter has", { ramp: Array(91).fill(1) }],
    ["something else", { share_percent: 5 }],
  ])("%s is 422 and points at it", async (_, cap) => {
    const answer = await call("PATCH", "/v1/account", { key, body: { new_subaccount_daily_cap: cap } });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toMatch(/^\/new_subaccount_daily_cap/);
  });
});
