/** The link in an alert: what it shows, how far it reaches, and that it works once. */
import { describe, expect, test } from "vitest";
import { notifyAlert } from "../../src/alerts/notify.ts";
import { confirmRaise } from "../../src/alerts/raise.ts";
import { parseId } from "../../src/platform/ids.ts";
import { newMaster, newSubaccount, type Tenant } from "../api/client.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { openBrowser, openPortal } from "./browser.ts";
import { lastLetter, newOwner } from "./people.ts";

const door = await openPortal();
const { pool, db, clock } = door.database;

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

/** Tells the alerts of all jobs that wait. */
async function notifyAll(): Promise<void> {
  const { rows } = await pool.query(
    `select payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
      where t.identifier = 'alert' order by j.id`,
  );
  for (const { payload } of rows) await notifyAlert(db, payload, { clock, config, keyring: door.keyring });
}

type Scene = Readonly<{ master: Tenant; id: string; path: string; limit(): Promise<number>; again(): Promise<string> }>;

/** A shop with a limit of 100 that has used 85, and the path of the link in the letter about it. */
async function alerted(members: Record<string, unknown> = {}, of?: Tenant): Promise<Scene> {
  const master = of ?? (await newMaster(door, members));
  const shop = await newSubaccount(door, master);
  const accounts = { masterId: parseId("mas", master.masterId)!, subaccountId: parseId("sub", shop.id)! };
  const limit = async () =>
    (await door.call("GET", `/v1/subaccounts/${shop.id}`, { key: master.key })).body.monthly_limit as number;
  let used = 0;
  const again = async () => {
    const to = Math.ceil((await limit()) * 0.85);
    await acceptUnits(door.database, accounts, to - used);
    used = to;
    await notifyAll();
    const { path } = await lastLetter(door, "ops@acme.example");
    expect(path).toMatch(/^\/raise\/[a-z2-7]{32}$/);
    return path;
  };
  return { master, id: shop.id, path: await again(), limit, again };
}

test("the page shows account, use, limit and a proposal; looking changes nothing; confirming raises, and is in the audit log", async () => {
  const { master, id, path, limit } = await alerted();
  const browser = openBrowser(door);
  const page = await browser.get(path);
  expect(page.status).toBe(200);
  expect(page.text).toContain(`Corner Shop (${id})`);
  expect(page.text).toContain("85 recipients");
  expect(page.html).toContain('value="120"');
  await browser.get(path);
  expect(await limit()).toBe(100);
  const done = await browser.submit(page, { limit: "150" });
  expect([done.status, done.text]).toEqual([200, expect.stringContaining("Corner Shop may send to 150 recipients")]);
  expect(await limit()).toBe(150);
  const { body } = await door.call("GET", `/v1/audit?target=${id}`, { key: master.key });
  // Of one transaction, so perhaps of one millisecond.
  const entries = body.data
    .slice(0, 2)
    .toSorted((a: { action: string }, b: { action: string }) => (a.action < b.action ? -1 : 1));
  expect(entries).toMatchObject([
    {
      action: "quota.raised_by_link",
      before: { monthly_limit: 100 },
      after: { monthly_limit: 150, link_id: expect.stringMatching(/^lnk_/), alert_id: expect.stringMatching(/^alr_/) },
    },
    { action: "quota.set", before: { monthly_limit: 100 }, after: { monthly_limit: 150 } },
  ]);
});

test("of twenty at once one wins, and a used link says so", async () => {
  const { path, limit } = await alerted();
  const token = path.split("/").at(-1)!;
  const tries = Array.from({ length: 20 }, (_, i) =>
    confirmRaise(db, token, 101 + i, undefined, { keyring: door.keyring, clock }).then(
      (changed) => changed.monthlyLimit,
      (error: Error) => error.message,
    ),
  );
  const results = await Promise.all(tries);
  const won = results.filter((result) => typeof result === "number");
  expect(won).toEqual([await limit()]);
  expect(new Set(results.filter((result) => typeof result === "string"))).toEqual(
    new Set(["This link has been used already. Each works once."]),
  );
  const page = await openBrowser(door).get(path);
  expect([page.status, page.text]).toEqual([410, expect.stringContaining("used already")]);
});

test("without a log-in it reaches as far as the master has set, all links of a period together; a failed try uses none up", async () => {
  const { path, limit, again } = await alerted({ raise_link_max_percent: 50 });
  const browser = openBrowser(door);
  const page = await browser.get(path);
  expect(page.text).toContain("raises the limit to 150 at most");
  const tooFar = await browser.submit(page, { limit: "151" });
  expect([tooFar.status, tooFar.text]).toEqual([401, expect.stringContaining("150 at most")]);
  expect(await limit()).toBe(100);
  expect((await browser.submit(page, { limit: "140" })).status).toBe(200);
  const next = await browser.get(await again());
  expect(next.text).toContain("raises the limit to 150 at most");
  expect((await browser.submit(next, { limit: "160" })).status).toBe(401);
  expect((await browser.submit(next, { limit: "150" })).status).toBe(200);
  const last = await browser.get(await again());
  expect(last.text).toContain("raises nothing without a log-in");
  expect((await browser.submit(last, { limit: "151" })).status).toBe(401);
  expect(await limit()).toBe(150);
});

test("how far it reaches is counted in whole units", async () => {
  const { path, limit } = await alerted({ raise_link_max_percent: 15 });
  const browser = openBrowser(door);
  const page = await browser.get(path);
  expect(page.text).toContain("raises the limit to 115 at most");
  expect((await browser.submit(page, { limit: "115" })).status).toBe(200);
  expect(await limit()).toBe(115);
});

test.for(["", "many", "99", "100", "-5", "1e3", "9007199254740993", "2000000000000"])(
  "a limit of %j is refused, and the link is good as before",
  async (given) => {
    const { path, limit } = await alerted();
    const browser = openBrowser(door);
    const page = await browser.get(path);
    const answer = await browser.submit(page, { limit: given });
    expect([401, 422]).toContain(answer.status);
    expect(await limit()).toBe(100);
    expect((await browser.get(path)).status).toBe(200);
  },
);

describe("further than the link reaches", () => {
  test("whoever may change the limit goes further when he is logged in; a customer of another master does not", async () => {
    const owner = await newOwner(door);
    await door.call("PATCH", "/v1/account", { key: owner.key, body: { raise_link_max_percent: 0 } });
    const { path, limit } = await alerted({}, owner);
    const { browser: own } = owner;
    const { browser: stranger } = await newOwner(door);
    const theirs = await stranger.submit(await stranger.get(path), { limit: "500" });
    expect([theirs.status, await limit()]).toEqual([404, 100]);
    const page = await own.get(path);
    expect((await own.post(path, { limit: "500" })).status).toBe(403); // without the form's token
    expect((await own.submit(page, { limit: "500" })).status).toBe(200);
    expect(await limit()).toBe(500);
  });

  test("the allowance binds it as it binds every change", async () => {
    const { path, limit } = await alerted({ allowance: 130 });
    const browser = openBrowser(door);
    const page = await browser.get(path);
    expect(page.html).toContain('value="120"');
    expect((await browser.submit(page, { limit: "140" })).status).toBe(422);
    expect(await limit()).toBe(100);
  });
});

test("what comes from another site, is forged, has expired, or is of another purpose changes nothing and says so", async () => {
  const { path, limit } = await alerted();
  const browser = openBrowser(door);
  const foreign = await browser.post(path, { limit: "150" }, { Origin: "https://evil.example" });
  expect(foreign.status).toBe(403);
  const forged = await browser.get(`/raise/${"a".repeat(32)}`);
  expect([forged.status, forged.text]).toEqual([410, expect.stringContaining("not one of ours")]);
  expect((await browser.get(path.replace("/raise/", "/invite/"))).status).toBe(410);
  const token = path.split("/").at(-1)!;
  await using nextPeriod = await later(door.database, 32 * 86_400_000);
  const late = confirmRaise(nextPeriod.db, token, 150, undefined, { keyring: door.keyring, clock: nextPeriod.clock });
  await expect(late).rejects.toThrow("expired");
  expect(await limit()).toBe(100);
});

test("a limit that was changed meanwhile is not lowered; a closed account's link is void", async () => {
  const { master, id, path, limit } = await alerted();
  const browser = openBrowser(door);
  const page = await browser.get(path);
  await door.call("PATCH", `/v1/subaccounts/${id}`, { key: master.key, body: { monthly_limit: 180 } });
  expect((await browser.submit(page, { limit: "150" })).status).toBe(422);
  expect(await limit()).toBe(180);
  await door.call("POST", `/v1/subaccounts/${id}/close`, { key: master.key, body: {} });
  expect((await browser.get(path)).status).toBe(410);
});

test("control: it is the mark of its use that lets a link work once", async () => {
  const { path, limit } = await alerted();
  const browser = openBrowser(door);
  await browser.submit(await browser.get(path), { limit: "110" });
  await pool.query("update link set used_at = null where purpose = 'raise'");
  expect((await browser.submit(await browser.get(path), { limit: "120" })).status).toBe(200);
  expect(await limit()).toBe(120);
});
