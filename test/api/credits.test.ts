/** Credits as they are bought, given and shown. */
import { expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
const shop = await newSubaccount(door, master);
const path = `/v1/subaccounts/${shop.id}/credits`;

test("the operator adds a pack, its master gives of it, the subaccount sees what it got", async () => {
  const body = { master_id: master.masterId, units: 500, note: "autumn", expires_at: "2099-01-01T00:00:00Z" };
  const pack = await call("POST", "/v1/credits", { key: OPERATOR_KEY, body });
  expect(pack.body).toMatchObject({ units: 500, allocated: 0, left: 500, note: "autumn" });
  const given = await call("POST", path, { key, body: { units: 120 } });
  expect(given.body.lots).toMatchObject([{ units: 120, spent: 0, expires_at: "2099-01-01T00:00:00.000Z" }]);
  const { body: packs } = await call("GET", "/v1/credits", { key });
  expect(packs.data).toMatchObject([{ id: pack.body.id, allocated: 120, left: 380 }]);
  expect((await call("GET", path, { key: shop.key })).body.data).toEqual(given.body.lots);
  const { body: usage } = await call("GET", "/v1/usage", { key: shop.key });
  expect(usage).toMatchObject({ limit: 100, remaining: 220, credits: { used: 0, left: 120 } });
  const { body: audit } = await call("GET", "/v1/audit?action=credits.allocated", { key });
  expect(audit.data[0]).toMatchObject({ target: shop.id, after: { units: 120 } });
});

test("a repeated request with the same key gives once", async () => {
  const headers = { "Idempotency-Key": "give-1" };
  const [first, again] = [
    await call("POST", path, { key, body: { units: 5 }, headers }),
    await call("POST", path, { key, body: { units: 5 }, headers }),
  ];
  expect(again.text).toBe(first.text);
});

test("more than is left is 409 and says how much; a subaccount may not give, a master may not buy", async () => {
  const much = await call("POST", path, { key, body: { units: 1_000_000 } });
  expect([much.status, much.body.errors[0].pointer]).toEqual([409, "/units"]);
  expect((await call("POST", path, { key: shop.key, body: { units: 1 } })).status).toBe(403);
  const body = { master_id: master.masterId, units: 5 };
  expect((await call("POST", "/v1/credits", { key, body })).status).toBe(403);
  expect((await call("GET", "/v1/credits", { key: shop.key })).status).toBe(403);
});

test.each([
  ["no units", { units: 0 }],
  ["a fraction", { units: 1.5 }],
  ["more than can be counted", { units: 2 ** 53 }],
  ["an end that has passed", { units: 5, expires_at: "2020-01-01T00:00:00Z" }],
  ["a note that is too long", { units: 5, note: "x".repeat(501) }],
])("%s is 422", async (_, members) => {
  const body = { master_id: master.masterId, ...members };
  expect((await call("POST", "/v1/credits", { key: OPERATOR_KEY, body })).status).toBe(422);
});

test("another master's subaccount is 404, and its packs are not listed", async () => {
  const other = await newMaster(door);
  expect((await call("POST", path, { key: other.key, body: { units: 1 } })).status).toBe(404);
  expect((await call("GET", path, { key: other.key })).status).toBe(404);
  expect((await call("GET", `/v1/credits?master_id=${master.masterId}`, { key: other.key })).body.data).toEqual([]);
});
