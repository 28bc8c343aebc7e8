/** Billing profiles at the door for programs. */
import { expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
const other = await newMaster(door, { name: "Other" });
const path = "/v1/billing_profiles";

test("a profile from its creation to its end", async () => {
  const body = { name: "North", currency: "EUR", cost_centre: "12", address: "Quay 1\nHarbour", is_default: true };
  const made = await call("POST", path, { key, body });
  expect(made.status, made.text).toBe(201);
  expect(made.body).toMatchObject(body);
  const at = `${path}/${made.body.id}`;
  const second = await call("POST", path, { key, body: { name: "South", currency: "CHF", is_default: true } });
  expect((await call("GET", at, { key })).body).toMatchObject({ name: "North", is_default: false });
  expect((await call("PATCH", at, { key, body: { name: "West" } })).status).toBe(422);
  expect((await call("PATCH", at, { key, body: { currency: "XYZ" } })).status).toBe(422);
  const ifMatch = { "If-Match": made.headers.get("etag")! };
  expect((await call("PATCH", at, { key, body: { cost_centre: null }, headers: ifMatch })).status).toBe(412);
  expect((await call("PATCH", at, { key, body: { cost_centre: null } })).body.cost_centre).toBeNull();
  const names = (await call("GET", path, { key })).body.data.map(({ name }: { name: string }) => name);
  expect(names).toEqual(["North", "South"]);
  const seen = await call("GET", at, { key: OPERATOR_KEY });
  expect(seen.body.master_id).toMatch(/^mas_/);

  await newSubaccount(door, master, { billing_profile: "North" });
  expect((await call("DELETE", at, { key })).status).toBe(409);
  expect((await call("DELETE", `${path}/${second.body.id}`, { key })).status).toBe(409);
  for (const [method, sent] of [["GET"], ["PATCH", { cost_centre: "1" }], ["DELETE"]] as const) {
    expect((await call(method, at, { key: other.key, body: sent })).status).toBe(404);
  }
  const third = await call("POST", path, { key, body: { name: "Unused", currency: "JPY" } });
  expect((await call("DELETE", `${path}/${third.body.id}`, { key })).status).toBe(204);
});

test("a key with the scope billing reads them and changes none", async () => {
  const made = await call("POST", "/v1/keys", { key, body: { name: "bills", scopes: ["billing"] } });
  expect((await call("GET", path, { key: made.body.key })).status).toBe(200);
  const body = { name: "By bills", currency: "EUR" };
  expect((await call("POST", path, { key: made.body.key, body })).status).toBe(403);
});
