/** What subaccounts are searched by, what they are known by, and who hears of what. */
import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door);
const { key } = master;

const shop = await newSubaccount(door, master, {
  name: "Corner Shop",
  monthly_limit: 100,
  plan: "Gold",
  billing_profile: "Cost centre 12",
  region: "EU",
  language: "de",
  time_zone: "Europe/Berlin",
  external_id: "c-1",
  owner_email: "Anna@corner.example",
  expires_at: "2030-01-01T00:00:00Z",
  accepted_terms_at: "2026-01-02T03:04:05Z",
  metadata: { tier: "a", seats: 5, trial: false },
});
await newSubaccount(door, master, { name: "Mill", monthly_limit: null, metadata: { tier: "b", seats: "5" } });
await newSubaccount(door, master, { name: "Bakery", monthly_limit: 1000, plan: "tin", metadata: { tier: "a" } });
const stranger = await newMaster(door, { name: "Other" });
await newSubaccount(door, stranger, { name: "of another", plan: "Gold", metadata: { tier: "a" }, slug: "taken-slug" });

async function found(query: string): Promise<string[]> {
  const { body, status, text } = await call("GET", `/v1/subaccounts?${query}`, { key });
  expect(status, text).toBe(200);
  return body.data.map(({ name }: { name: string }) => name);
}

test.each([
  ["plan=gold", ["Corner Shop"]],
  ["billing_profile=cost+centre+12", ["Corner Shop"]],
  ["region=eu", ["Corner Shop"]],
  ["language=de", ["Corner Shop"]],
  ["time_zone=Europe/Berlin", ["Corner Shop"]],
  ["external_id=c-1", ["Corner Shop"]],
  ["owner_email=anna@corner.example", ["Corner Shop"]],
  ["used_gte=0", ["Bakery", "Corner Shop", "Mill"]],
  ["used_gte=1", []],
  ["used_lte=0&used_percent_lte=0", ["Bakery", "Corner Shop"]],
  ["used_percent_gte=1", []],
  ["monthly_limit_gte=101", ["Bakery"]],
  ["monthly_limit_lte=100", ["Corner Shop"]],
  ["monthly_limit_lte=999999999999", ["Bakery", "Corner Shop"]],
  ["unlimited=true", ["Mill"]],
  ["unlimited=false", ["Bakery", "Corner Shop"]],
  ["created_since=2020-01-01T00:00:00Z", ["Bakery", "Corner Shop", "Mill"]],
  ["created_until=2020-01-01T00:00:00Z", []],
  ["updated_since=2099-01-01T00:00:00Z", []],
  ["expires_until=2031-01-01T00:00:00Z", ["Corner Shop"]],
  ["expires_until=2029-01-01T00:00:00Z", []],
  ["accepted_terms=true", ["Corner Shop"]],
  ["accepted_terms=false", ["Bakery", "Mill"]],
  ["metadata.tier=a", ["Bakery", "Corner Shop"]],
  ["metadata.tier=a&plan=gold", ["Corner Shop"]],
  ["metadata.seats=5", ["Corner Shop", "Mill"]],
  ["metadata.trial=false", ["Corner Shop"]],
  ["metadata.tier=c", []],
  ["metadata.missing=a", []],
  ["metadata.tier=%22%7D", []],
])("%s finds %j", async (query, names) => {
  expect(await found(`${query}&sort=name`)).toEqual(names);
});

test.each([
  ["nothing=1", "/nothing"],
  ["metadata.=x", "/metadata."],
  ["metadata=x", "/metadata"],
  ["used_gte=-1", "/used_gte"],
  ["unlimited=1", "/unlimited"],
  ["created_since=yesterday", "/created_since"],
  ["monthly_limit_gte=10000000000001", "/monthly_limit_gte"],
])("%s is refused by name", async (query, pointer) => {
  const answer = await call("GET", `/v1/subaccounts?${query}`, { key });
  expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
});

test("new members are shown to the master, sorted by, and kept in the table", async () => {
  const { body } = await call("GET", `/v1/subaccounts/${shop.id}`, { key });
  expect(body).toMatchObject({ billing_profile: "Cost centre 12", accepted_terms_at: "2026-01-02T03:04:05.000Z" });
  const own = await call("GET", "/v1/account", { key: shop.key });
  expect(own.body).toMatchObject({ accepted_terms_at: "2026-01-02T03:04:05.000Z" });
  expect(own.body).not.toHaveProperty("billing_profile");
  expect(await found("sort=expires,name")).toEqual(["Corner Shop", "Bakery", "Mill"]);
  expect(await found("sort=-accepted_terms,name")).toEqual(["Corner Shop", "Bakery", "Mill"]);
  expect(await found("sort=remaining")).toEqual(["Corner Shop", "Bakery", "Mill"]);
  const table = await call("GET", "/v1/subaccounts?columns=billing_profile,accepted_terms_at&plan=gold", {
    key,
    headers: { Accept: "text/csv" },
  });
  expect(table.text).toBe('billing_profile,accepted_terms_at\r\n"Cost centre 12",2026-01-02T03:04:05.000Z\r\n');
});

test("pages in the order of end dates go on where they ended, also among those without one", async () => {
  const names: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await call("GET", `/v1/subaccounts?sort=expires&limit=1${cursor}`, { key });
    names.push(page.body.data[0].name);
    if (!page.body.has_more) break;
    cursor = `&cursor=${page.body.next_cursor}`;
  }
  expect(names).toEqual(["Corner Shop", "Mill", "Bakery"]);
});

describe("a slug", () => {
  const check = async (slug: string) => (await call("GET", `/v1/slugs/${slug}`, { key })).body;

  test("that is free is its own suggestion", async () => {
    expect(await check("brand-new")).toEqual({ slug: "brand-new", available: true, suggestion: "brand-new" });
  });

  test("that anybody has is not available, and what is suggested can be had", async () => {
    expect(await check("taken-slug")).toEqual({ slug: "taken-slug", available: false, suggestion: "taken-slug-2" });
    await newSubaccount(door, master, { name: "second", slug: "taken-slug-2" });
    expect((await check("taken-slug")).suggestion).toBe("taken-slug-3");
    const long = "a".repeat(63);
    const made = await newSubaccount(door, master, { name: "long", slug: long });
    const { suggestion } = await check(long);
    expect(suggestion).toHaveLength(63);
    const change = await call("PATCH", `/v1/subaccounts/${made.id}`, { key, body: { slug: suggestion } });
    expect(change.status).toBe(200);
    for (const id of [made.id]) await call("POST", `/v1/subaccounts/${id}/close`, { key });
  });

  test.each(["UPPER", "-x", "x_y", "a".repeat(64), "%20"])("that none can be (%s) is not found", async (slug) => {
    expect((await call("GET", `/v1/slugs/${slug}`, { key })).status).toBe(404);
  });
});

describe("the contact policy", () => {
  const defaults = {
    review: "both",
    abuse: "both",
    quota: "master",
    billing: "master",
    expiry: "master",
    security: "both",
    support: "both",
  };
  const change = (contact_policy: unknown) =>
    call("PATCH", "/v1/account", { key: stranger.key, body: { contact_policy } });

  test("has an answer for each topic; what is not named stays", async () => {
    expect((await call("GET", "/v1/account", { key: stranger.key })).body.contact_policy).toEqual(defaults);
    expect((await change({ review: "master" })).body.contact_policy).toEqual({ ...defaults, review: "master" });
    expect((await change({ quota: "both" })).body.contact_policy).toEqual({
      ...defaults,
      review: "master",
      quota: "both",
    });
    const { rows } = await database.pool.query(
      "select before, after from audit_entry where action = 'master.changed' order by id desc limit 1",
    );
    expect(rows[0].after.contact_policy.quota).toBe("both");
    expect(rows[0].before.contact_policy.quota).toBe("master");
  });

  test("knows no other topics and nobody else", async () => {
    expect((await change({ news: "both" })).status).toBe(422);
    expect((await change({ review: "nobody" })).status).toBe(422);
    expect((await change(null)).status).toBe(422);
  });

  test("of another master is not touched, and the operator may decide, too", async () => {
    const other = await call("GET", "/v1/account", { key });
    expect(other.body.contact_policy).toEqual(defaults);
    const body = { contact_policy: { expiry: "both" } };
    const answer = await call("PATCH", `/v1/masters/${master.masterId}`, { key: OPERATOR_KEY, body });
    expect(answer.body.contact_policy).toEqual({ ...defaults, expiry: "both" });
  });
});
