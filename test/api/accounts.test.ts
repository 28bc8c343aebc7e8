import { describe, expect, test } from "vitest";
import { parseId } from "../../src/platform/ids.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door, { name: "Acme Hosting", allowance: 10_000 });
const operator = { key: OPERATOR_KEY };
const { key } = master;

const published = (prefix: "mas" | "sub", id: string) => door.published.includes(parseId(prefix, id) as never);

describe("masters", () => {
  test("what was given is shown, what was not has its default, and the key works", async () => {
    const body = {
      name: "Big Reseller",
      allowance: 500,
      overage: "bill",
      ceiling_factor: 1.5,
      anchor_day: 31,
      time_zone: "Europe/Berlin",
      notification_emails: ["a@big.example", { email: "b@big.example", topics: ["quota"] }],
      sender_policy: "any",
    };
    const created = await call("POST", "/v1/masters", { ...operator, body });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ ...body, state: "active", strict_allocation: false, next_calendar: null });
    expect(created.body.alert_thresholds).toEqual([80, 90, 95, 100]);
    expect(created.body.id).toMatch(/^mas_/);
    expect(created.body.own_subaccount.id).toMatch(/^sub_/);
    const shown = await call("GET", `/v1/masters/${created.body.id}`, operator);
    const { api_key, ...rest } = created.body;
    expect(shown.body).toEqual(rest);
    expect((await call("GET", "/v1/account", { key: api_key.key })).body).toEqual({
      ...rest,
      undeliverable_emails: [],
    });
  });

  test("a change shows at once, tells the gate, and moves the ETag; an old ETag is 412", async () => {
    const path = `/v1/masters/${master.masterId}`;
    const before = await call("GET", path, operator);
    const etag = before.headers.get("etag") ?? "";
    const changed = await call("PATCH", path, {
      ...operator,
      body: { allowance: 20_000 },
      headers: { "If-Match": etag },
    });
    expect([changed.status, changed.body.allowance]).toEqual([200, 20_000]);
    expect(changed.headers.get("etag")).not.toBe(etag);
    expect(published("mas", master.masterId)).toBe(true);
    const stale = await call("PATCH", path, { ...operator, body: { allowance: 1 }, headers: { "If-Match": etag } });
    expect([stale.status, stale.body.type]).toEqual([412, "/problems/precondition-failed"]);
    expect((await call("GET", path, operator)).body.allowance).toBe(20_000);
    const any = await call("PATCH", path, { ...operator, body: { allowance: 10_000 }, headers: { "If-Match": "*" } });
    expect(any.status).toBe(200);
  });

  test("anchor day and time zone change at the period's end", async () => {
    const other = await newMaster(door);
    const changed = await call("PATCH", `/v1/masters/${other.masterId}`, {
      ...operator,
      body: { anchor_day: 15, time_zone: "America/New_York" },
    });
    expect(changed.body).toMatchObject({ anchor_day: 1, time_zone: "UTC" });
    expect(changed.body.next_calendar).toMatchObject({ anchor_day: 15, time_zone: "America/New_York" });
  });

  test("a suspended master's keys read and change nothing; resuming gives it back", async () => {
    const other = await newMaster(door);
    const child = await newSubaccount(door, other);
    const suspended = await call("POST", `/v1/masters/${other.masterId}/suspend`, operator);
    expect([suspended.status, suspended.body.state]).toEqual([200, "suspended"]);
    expect((await call("POST", `/v1/masters/${other.masterId}/suspend`, operator)).status).toBe(200);
    for (const one of [other.key, child.key]) {
      expect((await call("GET", "/v1/account", { key: one })).body.state).toBe("suspended");
      const change = await call("PATCH", "/v1/account", { key: one, body: {} });
      expect([change.status, change.body.type]).toEqual([403, "/problems/suspended"]);
      expect((await call("POST", "/v1/keys", { key: one, body: { name: "x", scopes: ["read"] } })).status).toBe(403);
    }
    const acting = { ...operator, account: other.masterId };
    expect((await call("PATCH", "/v1/account", { ...acting, body: { name: "By operator" } })).status).toBe(200);
    expect((await call("POST", `/v1/masters/${other.masterId}/resume`, operator)).body.state).toBe("active");
    expect((await call("PATCH", "/v1/account", { key: other.key, body: {} })).status).toBe(200);
  });

  test("a closed master's keys open nothing, its customers' neither, until it is reopened", async () => {
    const other = await newMaster(door);
    const child = await newSubaccount(door, other);
    await call("POST", `/v1/masters/${other.masterId}/close`, operator);
    expect((await call("GET", "/v1/account", { key: other.key })).status).toBe(401);
    expect((await call("GET", "/v1/account", { key: child.key })).status).toBe(401);
    await call("POST", `/v1/masters/${other.masterId}/reopen`, operator);
    expect((await call("GET", "/v1/account", { key: child.key })).status).toBe(200);
  });
});

describe("the own account", () => {
  test("a master changes what is its own, and is told 403 for what is the operator's", async () => {
    const body = { notification_emails: ["new@acme.example"], alert_thresholds: [50, 100], name: "Acme" };
    expect((await call("PATCH", "/v1/account", { key, body })).body).toMatchObject(body);
    for (const forbidden of [{ allowance: 99_999 }, { overage: "bill" }, { sender_policy: "any" }, { anchor_day: 2 }]) {
      expect((await call("PATCH", "/v1/account", { key, body: forbidden })).status).toBe(403);
    }
    expect((await call("GET", "/v1/account", { key })).body.allowance).toBe(10_000);
    expect((await call("PATCH", "/v1/account", { key, body: { nope: 1 } })).body.errors[0].pointer).toBe("/nope");
    expect((await call("PATCH", "/v1/account", { key, body: { notification_emails: [] } })).status).toBe(422);
  });

  test("a subaccount changes its owner's details and nothing of its limit", async () => {
    const child = await newSubaccount(door, master, { notes: "secret notes" });
    const changed = await call("PATCH", "/v1/account", { key: child.key, body: { owner_name: "Ann", language: "de" } });
    expect(changed.body).toMatchObject({ id: child.id, owner_name: "Ann", language: "de" });
    expect(changed.text).not.toContain("secret notes");
    for (const forbidden of [
      { monthly_limit: 1_000 },
      { name: "x" },
      { notification_emails: null },
      { plan: "gold" },
    ]) {
      expect((await call("PATCH", "/v1/account", { key: child.key, body: forbidden })).status).toBe(403);
    }
    const etag = changed.headers.get("etag") ?? "";
    const stale = { "If-Match": etag.replace(/\d+/, (n) => String(Number(n) - 1)) };
    expect(
      (await call("PATCH", "/v1/account", { key: child.key, body: { language: "en" }, headers: stale })).status,
    ).toBe(412);
  });
});

describe("subaccounts", () => {
  test("handover shows the credential once; it opens SMTP's door", async () => {
    const body = { name: "Bakery", monthly_limit: 10, external_id: "crm-7", metadata: { tier: { a: [1] } } };
    const created = await call("POST", "/v1/subaccounts", { key, body });
    expect(created.body).toMatchObject({ ...body, state: "active", own: false });
    expect(created.body.usage).toMatchObject({
      used: 0,
      limit: 10,
      top_up: 0,
      remaining: 10,
      refused: 0,
      blocked_by: null,
    });
    expect(created.body.usage.period.start).toMatch(/-01T00:00:00\.000Z$/);
    const { username, password } = created.body.credential;
    expect(password).toMatch(/^[a-z2-7]{32}$/);
    const shown = await call("GET", `/v1/subaccounts/${created.body.id}`, { key });
    expect(shown.text).not.toContain(password);
    expect(shown.body.credential).toBeUndefined();
    const list = await call("GET", `/v1/subaccounts/${created.body.id}/credentials`, { key });
    expect(list.body.data).toMatchObject([{ username }]);
    expect(list.text).not.toContain(password);
  });

  test("invite needs an address, gives no credential, and waits as pending", async () => {
    const body = { name: "Later", monthly_limit: 10, onboarding: "invite" };
    const refused = await call("POST", "/v1/subaccounts", { key, body });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, "/owner_email"]);
    const created = await call("POST", "/v1/subaccounts", { key, body: { ...body, owner_email: "ann@later.example" } });
    expect([created.status, created.body.state, created.body.credential]).toEqual([201, "pending", undefined]);
  });

  test("a limit above the allowance is 422 at /monthly_limit; a taken external id is refused", async () => {
    const over = await call("POST", "/v1/subaccounts", { key, body: { name: "Over", monthly_limit: 10_001 } });
    expect([over.status, over.body.errors[0].pointer]).toEqual([422, "/monthly_limit"]);
    const body = { name: "Twin", monthly_limit: 1, external_id: "twin" };
    expect((await call("POST", "/v1/subaccounts", { key, body })).status).toBe(201);
    const twin = await call("POST", "/v1/subaccounts", { key, body });
    expect([409, 422]).toContain(twin.status);
    expect(twin.body.errors[0].pointer).toBe("/external_id");
  });

  test("a merge patch changes what it names, null removes, and the gate learns the limit", async () => {
    const child = await newSubaccount(door, master, {
      plan: "gold",
      notes: "n",
      metadata: { a: 1, b: { c: 2, d: 3 } },
    });
    const path = `/v1/subaccounts/${child.id}`;
    const body = { monthly_limit: 7, plan: null, metadata: { a: null, b: { c: 4 } } };
    const headers = { "Content-Type": "application/merge-patch+json" };
    const changed = await call("PATCH", path, { key, body, headers });
    expect(changed.body).toMatchObject({ monthly_limit: 7, plan: null, notes: "n", metadata: { b: { c: 4, d: 3 } } });
    expect(changed.body.usage.limit).toBe(7);
    expect(published("sub", child.id)).toBe(true);
    const etag = changed.headers.get("etag") ?? "";
    const nothing = await call("PATCH", path, { key, body: {}, headers: { "If-Match": `"0", ${etag}` } });
    expect([nothing.status, nothing.headers.get("etag")]).toEqual([200, etag]);
    expect((await call("PATCH", path, { key, body: { notes: "m" }, headers: { "If-Match": 'W/"1"' } })).status).toBe(
      412,
    );
  });

  test("two writers with the same ETag: one changes, the other is told 412", async () => {
    const child = await newSubaccount(door, master);
    const path = `/v1/subaccounts/${child.id}`;
    const etag = (await call("GET", path, { key })).headers.get("etag") ?? "";
    const answers = await Promise.all(
      [1, 2, 3, 4].map((limit) =>
        call("PATCH", path, { key, body: { monthly_limit: limit }, headers: { "If-Match": etag } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
  });

  test("each transition does what it says, repeating it is 200, an illegal one 409", async () => {
    const child = await newSubaccount(door, master);
    const go = async (action: string, body?: unknown) => {
      const answer = await call("POST", `/v1/subaccounts/${child.id}/${action}`, { key, ...(body ? { body } : {}) });
      return answer.status === 200 ? answer.body.state : answer.status;
    };
    expect(await go("archive")).toBe(409);
    const stale = { key, headers: { "If-Match": '"0"' } };
    expect((await call("POST", `/v1/subaccounts/${child.id}/close`, stale)).status).toBe(412);
    expect([await go("disable", { public_message: "Unpaid" }), await go("disable")]).toEqual(["disabled", "disabled"]);
    expect((await call("GET", "/v1/account", { key: child.key })).body.public_message).toBe("Unpaid");
    expect([await go("close"), await go("close"), await go("disable")]).toEqual(["closed", "closed", 409]);
    expect((await call("GET", "/v1/account", { key: child.key })).status).toBe(401);
    expect([await go("archive"), await go("reopen"), await go("reopen")]).toEqual(["archived", "disabled", "disabled"]);
    expect([await go("enable"), await go("enable")]).toEqual(["active", "active"]);
    expect(await go("suspend")).toBe(403);
    expect((await call("POST", `/v1/subaccounts/${child.id}/suspend`, operator)).body.state).toBe("suspended");
    expect(await go("resume")).toBe(403);
    expect((await call("POST", `/v1/subaccounts/${child.id}/resume`, operator)).body.state).toBe("active");
    expect((await call("POST", `/v1/subaccounts/${master.ownSubaccountId}/close`, { key })).status).toBe(409);
  });

  test("reopening with rotate leaves no old key or credential", async () => {
    const child = await newSubaccount(door, master);
    await call("POST", `/v1/subaccounts/${child.id}/close`, { key });
    await call("POST", `/v1/subaccounts/${child.id}/reopen`, { key, body: { rotate: true } });
    expect((await call("GET", "/v1/account", { key: child.key })).status).toBe(401);
    expect((await call("GET", `/v1/subaccounts/${child.id}/credentials`, { key })).body.data).toEqual([]);
  });

  test("a top-up adds to this period and tells the gate", async () => {
    const child = await newSubaccount(door, master, { monthly_limit: 10 });
    const body = { units: 5, note: "Christmas" };
    const added = await call("POST", `/v1/subaccounts/${child.id}/top_ups`, { key, body });
    expect([added.status, added.body.id.slice(0, 4)]).toEqual([201, "top_"]);
    expect(added.body).toMatchObject({ ...body, subaccount_id: child.id });
    const usage = await call("GET", `/v1/subaccounts/${child.id}/usage`, { key });
    expect(usage.body).toMatchObject({ limit: 10, top_up: 5, remaining: 15, master_remaining: 10_000 });
    const own = await call("GET", "/v1/usage", { key: child.key });
    expect(own.body).toMatchObject({ limit: 10, top_up: 5, remaining: 15 });
    expect(own.body.master_remaining).toBeUndefined();
    expect(published("sub", child.id)).toBe(true);
  });
});

describe("keys and credentials", () => {
  test("a rotated credential has another password; a revoked one is gone; a stranger's is 404", async () => {
    const child = await newSubaccount(door, master);
    const made = await call("POST", `/v1/subaccounts/${child.id}/credentials`, {
      key: child.key,
      body: { name: "app" },
    });
    const path = `/v1/credentials/${made.body.id}`;
    const rotated = await call("POST", `${path}/rotate`, { key, body: { overlap_seconds: 60 } });
    expect(rotated.body.username).toBe(made.body.username);
    expect(rotated.body.password).not.toBe(made.body.password);
    expect(rotated.body.previous_until).toMatch(/Z$/);
    const deleted = await call("DELETE", path, { key });
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    expect((await call("DELETE", path, { key })).status).toBe(204);
    expect((await call("POST", `${path}/rotate`, { key })).status).toBe(409);
  });

  test("a key reaches no further than its account and scopes, and opens nothing once it is revoked", async () => {
    const child = await newSubaccount(door, master);
    const body = { name: "reader", scopes: ["read"], subaccount_id: child.id };
    const made = await call("POST", "/v1/keys", { key, body });
    expect(made.body.key).toMatch(/^pm_live_[a-z2-7]{32}$/);
    expect(
      (await call("GET", "/v1/keys", { key: made.body.key })).body.data.map(({ id }: { id: string }) => id),
    ).toContain(made.body.id);
    expect(
      (await call("POST", "/v1/keys", { key: made.body.key, body: { name: "more", scopes: ["full"] } })).status,
    ).toBe(403);
    const other = await call("POST", "/v1/keys", {
      key: child.key,
      body: { ...body, subaccount_id: master.ownSubaccountId },
    });
    expect(other.status).toBe(404);
    expect((await call("DELETE", `/v1/keys/${made.body.id}`, { key })).status).toBe(204);
    expect((await call("GET", "/v1/account", { key: made.body.key })).status).toBe(401);
    expect((await call("GET", "/v1/keys", { key })).text).not.toContain(made.body.key);
  });
});

test("every change stands in the audit log, by whom and from what to what", async () => {
  const child = await newSubaccount(door, master, { monthly_limit: 10 });
  await call("PATCH", `/v1/subaccounts/${child.id}`, { key, body: { monthly_limit: 20 } });
  const log = await call("GET", `/v1/audit?subaccount_id=${child.id}&action=quota.set`, { key });
  expect(log.body.data).toMatchObject([
    { actor: { kind: "master" }, target: child.id, before: { monthly_limit: 10 }, after: { monthly_limit: 20 } },
  ]);
  const own = await call("GET", "/v1/audit", { key: child.key });
  expect(own.text).not.toContain(`"monthly_limit":10`);
  const events = await call("GET", `/v1/events?type=quota.changed&subaccount_id=${child.id}`, { key });
  expect(events.body.data).toMatchObject([{ type: "quota.changed", subaccount_id: child.id }]);
});
