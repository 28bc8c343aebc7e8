/** Rules, what was told, and forecasts, as a master and its subaccounts see them. */
import { expect, test } from "vitest";
import { notifyAlert } from "../../src/alerts/notify.ts";
import { parseId } from "../../src/platform/ids.ts";
import { acceptUnits } from "../support/ledger.ts";
import { newMaster, newSubaccount, openDoor } from "./client.ts";

const door = await openDoor();
const master = await newMaster(door);
const shop = await newSubaccount(door, master, { owner_email: "owner@shop.example" });
const sibling = await newSubaccount(door, master, { name: "Bakery" });
const other = await newMaster(door);

const send = (child: { id: string }, units: number) =>
  acceptUnits(
    door.database,
    { masterId: parseId("mas", master.masterId)!, subaccountId: parseId("sub", child.id)! },
    units,
  );

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

async function notifyAll(): Promise<void> {
  const { db, clock, pool } = door.database;
  const { rows } = await pool.query(
    `select payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
      where t.identifier = 'alert' order by j.id`,
  );
  for (const { payload } of rows) await notifyAlert(db, payload, { clock, config, keyring: door.keyring });
}

test("a rule is made, shown, changed by its version, and removed; each is in the audit log", async () => {
  const { key } = master;
  const made = await door.call("POST", "/v1/alert_rules", {
    key,
    body: { kind: "forecast", days_before: 7, name: "Early" },
  });
  expect(made.body).toMatchObject({
    kind: "forecast",
    subaccount_id: null,
    name: "Early",
    enabled: true,
    topic: "quota",
    delivery: null,
    days_before: 7,
    factor: null,
  });
  const path = `/v1/alert_rules/${made.body.id}`;
  const again = await door.call("POST", "/v1/alert_rules", { key, body: { kind: "forecast" } });
  expect([again.status, again.body.detail]).toEqual([409, expect.stringContaining("already")]);
  const etag = made.headers.get("etag") ?? "";
  const patch = (body: unknown, headers = {}) => door.call("PATCH", path, { key, body, headers });
  expect((await patch({ days_before: 5, delivery: "daily" }, { "If-Match": etag })).body).toMatchObject({
    days_before: 5,
    delivery: "daily",
  });
  expect((await patch({ enabled: false }, { "If-Match": etag })).status).toBe(412);
  expect((await door.call("GET", "/v1/alert_rules?kind=forecast", { key })).body.data).toHaveLength(1);
  expect((await door.call("DELETE", path, { key })).status).toBe(204);
  expect((await door.call("GET", path, { key })).status).toBe(404);
  const { body: log } = await door.call("GET", `/v1/audit?target=${made.body.id}`, { key });
  expect(log.data.map(({ action, after }: { action: string; after: unknown }) => [action, after])).toEqual([
    ["alert_rule.removed", null],
    ["alert_rule.changed", { days_before: 5, delivery: "daily" }],
    ["alert_rule.created", expect.objectContaining({ kind: "forecast", days_before: 7 })],
  ]);
});

test.for([
  [{ kind: "forecast", factor: 3 }, "/factor"],
  [{ kind: "jump", days_before: 3 }, "/days_before"],
  [{ kind: "refusals", percents: [90] }, "/percents"],
  [{ kind: "jump", factor: 1 }, "/factor"],
  [{ kind: "jump", minimum: 99 }, "/minimum"],
  [{ kind: "jump", minimum: 2 ** 53 }, "/minimum"],
  [{ kind: "threshold", percents: [90, 80] }, "/percents"],
  [{ kind: "forecast", days_before: 0 }, "/days_before"],
  [{ kind: "forecast", topic: "gossip" }, "/topic"],
  [{ kind: "nothing" }, "/kind"],
  [{ kind: "jump", delivery: "hourly" }, "/delivery"],
] as const)("%j is refused and says where", async ([body, pointer]) => {
  const answer = await door.call("POST", "/v1/alert_rules", { key: master.key, body });
  expect([answer.status, answer.body.errors?.[0]?.pointer ?? answer.text]).toEqual([422, pointer]);
});

test("what holds for a subaccount: its own rule before its master's, and that before the default; none of another tenant's", async () => {
  const { key } = master;
  const rule = (body: Record<string, unknown>, by = key) => door.call("POST", "/v1/alert_rules", { key: by, body });
  const general = (await rule({ kind: "jump", factor: 8 })).body.id;
  const own = (await rule({ kind: "jump", factor: 3, subaccount_id: shop.id })).body.id;
  expect((await rule({ kind: "jump", subaccount_id: shop.id }, other.key)).status).toBe(404);
  const inForce = async (child: { id: string }) => {
    const { body } = await door.call("GET", `/v1/subaccounts/${child.id}/alert_rules`, { key });
    return body.data.map((one: Record<string, unknown>) => [one.kind, one.source, one.id, one.factor]);
  };
  const defaults = [
    ["threshold", "default", null, null],
    ["refusals", "default", null, null],
    ["forecast", "default", null, null],
  ];
  expect(await inForce(shop)).toEqual([...defaults, ["jump", "subaccount", own, 3]]);
  expect(await inForce(sibling)).toEqual([...defaults, ["jump", "master", general, 8]]);
  for (const id of [general, own]) await door.call("DELETE", `/v1/alert_rules/${id}`, { key });
});

test("what was told, with the letters and their state; a subaccount sees its own and not whom its master told", async () => {
  const { key } = master;
  const both = { kind: "threshold", topic: "security", subaccount_id: shop.id };
  await door.call("POST", "/v1/alert_rules", { key, body: both });
  await send(shop, 85);
  await send(sibling, 100);
  await notifyAll();
  const { body } = await door.call("GET", "/v1/alerts", { key });
  expect(body.data).toMatchObject([
    {
      kind: "threshold",
      subaccount_id: sibling.id,
      level: 100,
      used: 100,
      limit: 100,
      delivery: "immediately",
      letters: [{ side: "master", recipients: [{ email: "ops@acme.example", state: "queued" }] }],
    },
    {
      subaccount_id: shop.id,
      level: 80,
      letters: [
        { side: "master", recipients: [{ email: "ops@acme.example" }] },
        { side: "subaccount", recipients: [{ email: "owner@shop.example" }] },
      ],
    },
  ]);
  const list = async (query: string, as = key) => (await door.call("GET", `/v1/alerts${query}`, { key: as })).body.data;
  expect(await list(`?subaccount_id=${shop.id}`)).toHaveLength(1);
  expect(await list("?kind=forecast")).toEqual([]);
  const start = body.data[0].period.start.slice(0, 10);
  expect(await list(`?period=${start}`)).toHaveLength(2);
  expect((await door.call("GET", "/v1/alerts?period=2020-01-02", { key })).status).toBe(422);
  const own = await list("", shop.key);
  expect(own).toMatchObject([{ subaccount_id: shop.id, letters: [{ side: "subaccount" }] }]);
  expect(JSON.stringify(own)).not.toContain("ops@acme.example");
  expect(await list(`?subaccount_id=${sibling.id}`, shop.key)).toEqual([]);
  expect(await list("", other.key)).toEqual([]);
});

test("a forecast is the same wherever it is asked for; a subaccount does not see its master's", async () => {
  const forecast = async (path: string, key: string) => (await door.call("GET", path, { key })).body;
  const mine = await forecast("/v1/forecast", shop.key);
  expect(mine).toMatchObject({ used: 85, limit: 100 });
  expect(await forecast(`/v1/subaccounts/${shop.id}/forecast`, master.key)).toEqual(mine);
  expect(await forecast("/v1/forecast", master.key)).toMatchObject({ used: 185, limit: 10_000 });
  expect(await forecast(`/v1/subaccounts/${sibling.id}/forecast`, shop.key)).toMatchObject({ status: 404 });
  const reached = await forecast(`/v1/subaccounts/${sibling.id}/forecast`, master.key);
  expect(reached).toMatchObject({ state: "reached", used: 100 });
});

test("an address that bounces stands in the account: its master sees all, a subaccount its owner's", async () => {
  const insert = (email: string) =>
    door.database.pool.query(
      "insert into undeliverable_email values ($1, $2, now(), '550 5.1.1 No such user', gen_random_uuid())",
      [parseId("mas", master.masterId), email],
    );
  await insert("ops@acme.example");
  await insert("owner@shop.example");
  const emails = async (key: string) =>
    (await door.call("GET", "/v1/account", { key })).body.undeliverable_emails.map(
      ({ email }: { email: string }) => email,
    );
  expect((await emails(master.key)).sort()).toEqual(["ops@acme.example", "owner@shop.example"]);
  expect(await emails(shop.key)).toEqual(["owner@shop.example"]);
  expect(await emails(sibling.key)).toEqual([]);
  expect(await emails(other.key)).toEqual([]);
  const patch = { owner_email: "new@shop.example" };
  const changed = await door.call("PATCH", "/v1/account", { key: shop.key, body: patch });
  expect(changed.body.undeliverable_emails).toEqual([]);
  expect(await emails(master.key)).toEqual(["ops@acme.example"]);
});

test("how alerts are delivered is the master's own choice", async () => {
  const body = { alert_delivery: "weekly", alert_urgent_immediately: false, raise_link_max_percent: 50 };
  expect((await door.call("PATCH", "/v1/account", { key: master.key, body })).body).toMatchObject(body);
  for (const wrong of [{ alert_delivery: "never" }, { raise_link_max_percent: 1001 }, { raise_link_max_percent: -1 }]) {
    expect((await door.call("PATCH", "/v1/account", { key: master.key, body: wrong })).status).toBe(422);
  }
});
