/** Rate cards and prices at the door for programs. */
import { expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
const other = await newMaster(door, { name: "Other" });
const path = "/v1/rate_cards";
const card = {
  name: "Standard",
  currency: "EUR",
  price_minor: 3000,
  cycle: "month",
  included_units: 10_000,
  overage_per_1000: "1/3",
  ceiling_minor: 500,
};

test("a rate card from its creation to its end", async () => {
  const made = await call("POST", path, { key, body: card });
  expect(made.status, made.text).toBe(201);
  expect(made.body).toMatchObject({ ...card, card_version: 1, is_default: false, withdrawn_at: null });
  expect(made.body).not.toHaveProperty("master_id");
  const at = `${path}/${made.body.id}`;
  expect((await call("POST", path, { key, body: card })).status).toBe(409);
  expect((await call("PATCH", at, { key, body: { currency: "CHF" } })).status).toBe(422);
  const changed = await call("PATCH", at, { key, body: { price_minor: 3500, is_default: true } });
  expect(changed.body).toMatchObject({ price_minor: 3500, card_version: 2, is_default: true, default_version: 2 });
  const ifMatch = { "If-Match": made.headers.get("etag")! };
  expect((await call("PATCH", at, { key, body: { price_minor: 1 }, headers: ifMatch })).status).toBe(412);
  expect((await call("DELETE", at, { key })).status).toBe(409);
  expect((await call("PATCH", at, { key, body: { is_default: false } })).body.is_default).toBe(false);
  const seen = await call("GET", at, { key: OPERATOR_KEY });
  expect(seen.body.master_id).toBe(master.masterId);
  const versions = await call("GET", `${at}/versions`, { key });
  expect(versions.body.data.map((one: { card_version: number }) => one.card_version)).toEqual([2, 1]);
  for (const [method, body] of [["GET"], ["PATCH", { price_minor: 1 }], ["DELETE"]] as const) {
    expect((await call(method, at, { key: other.key, body })).status).toBe(404);
  }
  expect((await call("DELETE", at, { key })).status).toBe(204);
  expect((await call("GET", path, { key })).body.data).toEqual([]);
  const { id } = await newSubaccount(door, master);
  const withdrawn = await call("PUT", `/v1/subaccounts/${id}/price`, { key, body: { rate_card_id: made.body.id } });
  expect(withdrawn.status).toBe(422);
  expect(withdrawn.body.errors).toMatchObject([{ pointer: "/rate_card_id" }]);
});

test("the operator's cards are for masters, and a master sees what it pays by but not the card", async () => {
  const sold = await call("POST", path, { key: OPERATOR_KEY, body: { ...card, name: "For masters" } });
  expect(sold.body.master_id).toBeNull();
  expect((await call("GET", `${path}/${sold.body.id}`, { key })).status).toBe(404);
  expect(
    (await call("PATCH", `${path}/${sold.body.id}`, { key: OPERATOR_KEY, body: { is_default: true } })).status,
  ).toBe(422);
  expect((await call("GET", path, { key: OPERATOR_KEY })).body.data).toHaveLength(1);
  const at = `/v1/masters/${master.masterId}/price`;
  const body = { rate_card_id: sold.body.id, discount_bp: 250 };
  expect((await call("PUT", at, { key, body })).status).toBe(403);
  const given = await call("PUT", at, { key: OPERATOR_KEY, body });
  expect(given.status, given.text).toBe(200);
  expect(given.body.now).toMatchObject({
    source: "card",
    source_id: sold.body.id,
    discount_bp: 250,
    price_minor: 3000,
  });
  const own = await call("GET", "/v1/account/price", { key });
  expect(own.body).toEqual(given.body);
  const later = await call("PUT", at, { key: OPERATOR_KEY, body: { rate_card_id: null, from: "next_period" } });
  expect(later.body.now.until).not.toBeNull();
  const kept = await call("DELETE", `/v1/masters/${master.masterId}/next_price`, { key: OPERATOR_KEY });
  expect(kept.body).toMatchObject({ now: { until: null }, next: null });
});

test("a subaccount's price is its master's to give, and nothing of it is shown to the subaccount", async () => {
  const made = await call("POST", path, { key, body: { ...card, name: "Given", is_default: true } });
  const { id } = await newSubaccount(door, master);
  const at = `/v1/subaccounts/${id}/price`;
  expect((await call("GET", at, { key })).body.now).toMatchObject({ source: "default", price_minor: 3000 });
  const body = { rate_card_id: made.body.id, discount_bp: 10 };
  const given = await call("PUT", at, { key, body });
  expect(given.body).toMatchObject({ rate_card_id: made.body.id, discount_bp: 10, now: { source: "card" } });
  const stale = { "If-Match": '"99"' };
  expect((await call("PUT", at, { key, body: { discount_bp: 1 }, headers: stale })).status).toBe(412);
  const fresh = { "If-Match": given.headers.get("etag")! };
  expect((await call("PUT", at, { key, body: { discount_bp: 11 }, headers: fresh })).status).toBe(200);
  const named = { name: "own", scopes: ["full"], subaccount_id: id };
  const own = (await call("POST", "/v1/keys", { key, body: named })).body.key;
  for (const route of [path, at, `${path}/${made.body.id}`, "/v1/account/price"]) {
    expect((await call("GET", route, { key: own })).status).toBe(403);
  }
  expect((await call("PUT", at, { key: own, body })).status).toBe(403);
  const account = await call("GET", "/v1/account", { key: own });
  expect(account.text).not.toMatch(/price|rat_|margin|cost/);
  expect((await call("GET", at, { key: other.key })).status).toBe(404);
  expect((await call("PUT", at, { key: other.key, body })).status).toBe(404);
  for (const wrong of [{ discount_bp: -1 }, { discount_bp: 0.5 }, { discount_bp: 10_001 }, { from: "then" }]) {
    expect((await call("PUT", at, { key, body: wrong })).status).toBe(422);
  }
});

test("a quote says what a change would come to, and is refused as the change would be", async () => {
  const made = await call("POST", path, { key, body: { ...card, name: "Quoted", price_minor: 9000 } });
  const { id } = await newSubaccount(door, master);
  const at = `/v1/subaccounts/${id}/quote`;
  const body = { rate_card_id: made.body.id, discount_bp: 1000 };
  const quote = await call("POST", at, { key, body });
  expect(quote.status, quote.text).toBe(200);
  expect(quote.body).toMatchObject({
    currency: "EUR",
    value_minor: 9000,
    discount_minor: 900,
    price_per_cycle_minor: 8100,
  });
  const later = await call("POST", at, { key, body: { ...body, from: "next_period" } });
  expect(later.body).toMatchObject({ due_now_minor: 0, due: [], proration: null });
  expect((await call("GET", `/v1/subaccounts/${id}/price`, { key })).body.rate_card_id).toBeNull();
  for (const wrong of [{ plan: "none" }, { discount_bp: 0.5 }, { rate_card_id: "rat_01kb2m5xj7e1fr0x4m4f6a0z3q" }]) {
    expect((await call("POST", at, { key, body: wrong })).status).toBe(422);
  }
  const own = await call("POST", `/v1/masters/${master.masterId}/quote`, { key, body: { discount_bp: 1 } });
  expect(own.status).toBe(403);
});

test("the role billing and its scope read prices and change none", async () => {
  const { key: billing } = (await call("POST", "/v1/keys", { key, body: { name: "bills", scopes: ["billing"] } })).body;
  const { id } = await newSubaccount(door, master);
  expect((await call("GET", path, { key: billing })).status).toBe(200);
  expect((await call("GET", `/v1/subaccounts/${id}/price`, { key: billing })).status).toBe(200);
  expect((await call("POST", path, { key: billing, body: { ...card, name: "B" } })).status).toBe(403);
  expect((await call("PUT", `/v1/subaccounts/${id}/price`, { key: billing, body: { discount_bp: 1 } })).status).toBe(
    403,
  );
});

test.each([
  [{ price_minor: -1 }],
  [{ price_minor: 1.5 }],
  [{ price_minor: 2 ** 53 }],
  [{ price_minor: 10_000_000_001 }],
  [{ price_minor: "1" }],
  [{ currency: "EURO" }],
  [{ currency: "XXQ" }],
  [{ overage_per_1000: 0.35 }],
  [{ overage_per_1000: "0,35" }],
  [{ overage_per_1000: "1/0" }],
  [{ included_units: -1 }],
  [{ ceiling_minor: 0.1 }],
  [{ cycle: "monthly" }],
  [{ unknown: 1 }],
])("%j is 422", async (wrong) => {
  const answer = await call("POST", path, { key, body: { ...card, name: "Wrong", ...wrong } });
  expect(answer.status).toBe(422);
  expect(answer.body.errors.length).toBeGreaterThan(0);
});

test("a statement shows what is asked in JSON, as a table and on paper, and exact integers everywhere", async () => {
  const reseller = await newMaster(door, { name: "Reseller", language: "de" });
  const sold = { ...card, name: "Sold", price_minor: 123_456, overage_per_1000: "0.5" };
  const { body: forMaster } = await call("POST", path, { key: OPERATOR_KEY, body: sold });
  const at = `/v1/masters/${reseller.masterId}/price`;
  await call("PUT", at, { key: OPERATOR_KEY, body: { rate_card_id: forMaster.id } });
  await call("POST", path, { key: reseller.key, body: { ...card, name: "Default", is_default: true } });
  const { id } = await newSubaccount(door, reseller, { name: "Corner <Shop>" });
  const statement = (suffix = "") => call("GET", `/v1/statements/current${suffix}`, { key: reseller.key });
  const { body, text } = await statement();
  expect(body.price).toMatchObject({ amounts: [{ currency: "EUR" }], terms: [{ source_id: forMaster.id }] });
  const line = body.lines.find((one: { subaccount_id: string }) => one.subaccount_id === id);
  const [asked] = line.price.amounts;
  expect(line).toMatchObject({
    margin: { currency: "EUR", amount_minor: asked.total_minor - line.costs[0].amount_minor },
  });
  expect(body.revenue).toEqual([{ currency: "EUR", amount_minor: asked.total_minor }]);
  expect(body.costs).toEqual([{ currency: "EUR", amount_minor: body.price.amounts[0].total_minor }]);
  const numbers = [...text.matchAll(/:(-?\d[\d.e+-]*)/g)].map(([, number]) => Number(number));
  expect(numbers.length).toBeGreaterThan(20);
  expect(numbers.every(Number.isSafeInteger)).toBe(true);
  const table = (await statement(".csv")).text.trimEnd().split("\r\n");
  expect(table.find((row) => row.includes(id))).toContain(`,EUR,${asked.fee_minor},0,0,${asked.total_minor},EUR,`);
  const page = (await statement(".html")).text;
  expect(page).toContain("Preise der Unterkonten");
  expect(page).toContain("Corner &lt;Shop&gt;");
  expect(page).toMatch(/\d\.?\d*,\d\d EUR/);
  const without = await call("GET", "/v1/statements/current.html", { key: other.key });
  expect(without.text).not.toContain("Prices of subaccounts");
});
