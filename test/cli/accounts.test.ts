import { expect, test } from "vitest";
import { type EventId, newId, parseId } from "../../src/platform/ids.ts";
import { house, houseWithAccounts } from "./house.ts";

test("a reseller and its customer are made, limited, closed and reopened by commands", async () => {
  const { json, database } = await house();
  const master = await json(
    "master",
    "create",
    "--name",
    "Acme",
    "--allowance",
    "10000",
    "--email",
    "ops@acme.example",
    "--email",
    "pay@acme.example=billing",
  );
  expect(master).toMatchObject({
    id: expect.stringMatching(/^mas_/),
    state: "active",
    allowance: 10_000,
    own_subaccount: { id: expect.stringMatching(/^sub_/) },
    notification_emails: ["ops@acme.example", { email: "pay@acme.example", topics: ["billing"] }],
    api_key: { key: expect.stringMatching(/^pm_live_/) },
  });
  const created = await json(
    "subaccount",
    "create",
    "--master",
    master.id,
    "--name",
    "Shop",
    "--limit",
    "100",
    "--external-id",
    "c-1",
  );
  expect(created).toMatchObject({
    id: expect.stringMatching(/^sub_/),
    master_id: master.id,
    monthly_limit: 100,
    external_id: "c-1",
    usage: { used: 0, limit: 100, remaining: 100, master_remaining: 10_000 },
    credential: { username: expect.any(String), password: expect.any(String) },
  });
  expect(await json("subaccount", "change", created.id, "--limit", "200", "--plan", "gold")).toMatchObject({
    monthly_limit: 200,
    plan: "gold",
  });
  expect(await json("subaccount", "change", created.id, "--limit", "none", "--plan", "none")).toMatchObject({
    monthly_limit: null,
    plan: null,
  });
  expect(await json("subaccount", "disable", created.id, "--message", "Please call us")).toMatchObject({
    state: "disabled",
    public_message: "Please call us",
  });
  expect(await json("subaccount", "enable", created.id)).toMatchObject({ state: "active" });
  expect(await json("subaccount", "close", created.id)).toMatchObject({ state: "closed" });
  expect(await json("subaccount", "close", created.id)).toMatchObject({ state: "closed" });
  expect(await json("subaccount", "reopen", created.id)).toMatchObject({ state: "active" });
  expect(await json("master", "change", master.id, "--overage", "bill", "--ceiling-factor", "2.5")).toMatchObject({
    overage: "bill",
    ceiling_factor: 2.5,
  });
  expect(await json("master", "suspend", master.id)).toMatchObject({ state: "suspended" });
  expect(await json("subaccount", "show", created.id)).toMatchObject({ state: "suspended" });
  expect(await json("master", "resume", master.id)).toMatchObject({ state: "active" });
  const { rows } = await database.pool.query("select distinct actor_kind from audit_entry");
  expect(rows).toEqual([{ actor_kind: "cli" }]);
});

test("lists are filtered, sorted and cut, and tell that there is more", async () => {
  const { json, run, mas, sub } = await houseWithAccounts();
  const all = await json("subaccount", "list", "--master", mas);
  expect(all.has_more).toBe(false);
  expect(all.data).toHaveLength(2);
  expect((await json("subaccount", "list", "--q", "corner")).data).toMatchObject([{ id: sub, used: 0 }]);
  expect(await json("subaccount", "list", "--sort", "-name", "--limit", "1")).toMatchObject({
    has_more: true,
    data: [{ name: "Own sending" }],
  });
  expect((await json("subaccount", "list", "--state", "closed")).data).toEqual([]);
  const { out } = await run("master", "list");
  expect(out).toBe(
    `id                              name          state   allowance  overage\n${mas}  Acme Hosting  active       1000  block\n`,
  );
});

test("credentials and keys are shown once and revoked", async () => {
  const { json, run, mas, sub } = await houseWithAccounts();
  const { id, username, password } = await json("credential", "create", sub, "--name", "website");
  expect(password).toMatch(/^[a-z2-7]{32}$/);
  const listed = await json("credential", "list", sub);
  expect(listed.data).toMatchObject([{ id, username, name: "website" }]);
  expect(JSON.stringify(listed)).not.toContain(password);
  const rotated = await json("credential", "rotate", id, "--overlap", "60");
  expect(rotated).toMatchObject({ username, previous_until: expect.any(String) });
  expect(rotated.password).not.toBe(password);
  expect(await json("credential", "revoke", id)).toMatchObject({ revoked_at: expect.any(String) });
  expect((await json("credential", "list", sub)).data).toEqual([]);
  const key = await json("key", "create", mas, "--name", "export", "--scopes", "billing,read");
  expect(key).toMatchObject({ scopes: ["billing", "read"], key: expect.stringMatching(/^pm_live_/) });
  expect((await json("key", "list", mas)).data).toMatchObject([{ id: key.id }]);
  await json("key", "create", sub, "--name", "site", "--scopes", "send");
  expect((await json("key", "list", sub)).data).toHaveLength(1);
  await json("key", "revoke", key.id);
  const { out } = await run("key", "list", mas);
  expect(out).not.toContain(key.id);
});

test("limits, allowances and top-ups are set from the next message on", async () => {
  const { json, run, mas, sub } = await houseWithAccounts();
  expect(await json("quota", "set", sub, "500")).toMatchObject({ monthly_limit: 500, usage: { limit: 500 } });
  expect(await json("quota", "top-up", sub, "50", "--note", "launch")).toMatchObject({
    id: expect.stringMatching(/^top_/),
    units: 50,
  });
  expect(await json("usage", sub)).toMatchObject({ limit: 500, top_up: 50, remaining: 550 });
  expect(await json("quota", "set", mas, "2000")).toMatchObject({ allowance: 2000 });
  expect(await json("quota", "set", sub, "none")).toMatchObject({ monthly_limit: null });
  const refused = await run("quota", "set", sub, "5000");
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toMatch(/^postmeter: .*\n$/);
  expect(await json("quota", "reconcile")).toEqual({ redis: false, data: [] });
});

test("a domain is claimed, looked for, granted and given up", async () => {
  const { json, run, mas, sub } = await houseWithAccounts();
  const own = await json("domain", "add", "Reseller.Example", mas);
  expect(own).toMatchObject({
    id: expect.stringMatching(/^dom_/),
    name: "reseller.example",
    master_id: mas,
    subaccount_id: null,
    state: "pending",
  });
  const theirs = await json("domain", "add", "customer.example", sub);
  expect(theirs).toMatchObject({
    subaccount_id: sub,
    records: [{ type: "TXT", name: "_postmeter.customer.example", found: false }],
  });
  expect((await json("domain", "list", "--for", mas)).data).toHaveLength(2);
  expect(await json("domain", "grant", own.id, "--all")).toMatchObject({ granted_to_all: true });
  expect((await run("domain", "grant", theirs.id, sub)).code).toBe(1);
  await json("domain", "remove", theirs.id);
  expect((await run("domain", "show", theirs.id)).err).toBe("postmeter: There is no such domain.\n");
});

test("limits of a short time and the reserve are set by commands, member by member", async () => {
  const { json, run, subaccount, master } = await houseWithLimits();
  expect(await json("quota", "rate", subaccount.id, "--minute", "60", "--day", "5000")).toMatchObject({
    rate_limits: { minute: 60, day: 5000 },
  });
  expect(await json("quota", "rate", subaccount.id, "--minute", "none")).toMatchObject({ rate_limits: { day: 5000 } });
  expect(await json("quota", "reserve", subaccount.id, "20")).toMatchObject({ reserve: 20 });
  const { out } = await run("subaccount", "show", subaccount.id);
  expect(out).toMatch(/short limits\s+5000 a day/);
  expect(await json("quota", "reserve", subaccount.id, "none")).toMatchObject({ reserve: null });
  const { id } = subaccount.credential;
  expect(await json("quota", "rate", id, "--hour", "7")).toMatchObject({ rate_limits: { hour: 7 } });
  expect(await json("credential", "change", id, "--transactional", "--name", "resets")).toMatchObject({
    transactional: true,
    name: "resets",
  });
  expect(await json("credential", "change", id, "--no-transactional")).toMatchObject({ transactional: false });
  expect((await run("quota", "rate", master.id, "--hour", "7")).code).toBe(2);
  expect(await json("quota", "daily-cap", subaccount.id, "10,20")).toMatchObject({ daily_cap: { units: 10, day: 1 } });
  expect(await json("quota", "daily-cap", master.id, "10,20", "--from-limit", "50")).toMatchObject({
    new_subaccount_daily_cap: { ramp: [10, 20], from_limit: 50 },
  });
  expect(await json("quota", "daily-cap", subaccount.id, "none")).toMatchObject({ daily_cap: null });
});

test("credits are added to a master and given to a subaccount by commands", async () => {
  const { json, run, subaccount, master } = await houseWithLimits();
  const pack = await json(
    "quota",
    "credits",
    "add",
    master.id,
    "500",
    "--expires-at",
    "2099-01-01",
    "--note",
    "autumn",
  );
  expect(pack).toMatchObject({ id: expect.stringMatching(/^pack_/), units: 500, left: 500, note: "autumn" });
  expect(await json("quota", "credits", "give", subaccount.id, "120")).toMatchObject({
    usage: { limit: 100, remaining: 220, credits: { used: 0, left: 120 } },
  });
  expect((await json("quota", "credits", "list", "--master", master.id)).data).toMatchObject([
    { allocated: 120, left: 380 },
  ]);
  expect((await run("subaccount", "show", subaccount.id)).out).toMatch(/credits\s+0 used, 120 left/);
});

async function houseWithLimits() {
  const cli = await house();
  const master = await cli.json(
    "master",
    "create",
    "--name",
    "Acme",
    "--allowance",
    "none",
    "--email",
    "ops@acme.example",
  );
  const subaccount = await cli.json("subaccount", "create", "--master", master.id, "--name", "Shop", "--limit", "100");
  return { ...cli, master, subaccount };
}

test("refusals are listed by a command, by reason and time", async () => {
  const { json, run, database, subaccount, master } = await houseWithLimits();
  const minutes = ["2026-11-22T09:30:00Z", "2026-11-22T09:31:00Z"].map((at) => new Date(at));
  for (const [i, minute] of minutes.entries()) {
    await database.db
      .insertInto("refusal")
      .values({
        subaccount_id: parseId("sub", subaccount.id)!,
        master_id: parseId("mas", master.id)!,
        minute,
        reason: i === 0 ? "rate" : "size",
        period_start: new Date("2026-11-01Z"),
        messages: 4,
        units: 5,
        sample: JSON.stringify({ detail: "451 4.7.1 Rate limit reached, retry in 3 seconds" }),
        id: newId<EventId>({ offsetMs: 0, now: () => minute }),
      })
      .execute();
  }
  expect((await json("refusal", "list")).data.map((one: { reason: string }) => one.reason)).toEqual(["size", "rate"]);
  const { data } = await json("refusal", "list", "--reason", "rate", "--until", "2026-11-22T09:31:00Z");
  expect(data).toMatchObject([{ subaccount_id: subaccount.id, master_id: master.id, messages: 4, units: 5 }]);
  expect((await run("refusal", "list", "--since", "2026-11-22T09:31:30Z")).out).toContain("Nothing was refused.");
  expect((await run("refusal", "list", "--reason", "weather")).code).toBe(2);
});
