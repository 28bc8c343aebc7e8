/** The sandbox: the whole way, nothing delivered, nothing billed. */
import { afterAll, expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { createCredential } from "../../src/accounts/credentials.ts";
import { createKey } from "../../src/accounts/keys.ts";
import { createCapture } from "../../src/delivery/capture.ts";
import { startDelivery } from "../../src/delivery/worker.ts";
import { draftStatement } from "../../src/metering/draft.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readMasterUsage, readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { freshClient } from "../../src/platform/database.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { fence } from "../../src/spool/fence.ts";
import { deliverySpool } from "../../src/spool/work.ts";
import { testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { submissionOf, testAcceptor, utcMonths } from "../support/submission.ts";
import { tenants } from "../support/tenants.ts";
import { startUpstream } from "../support/upstream.ts";

async function world() {
  const database = await testDatabase();
  const make = tenants(database);
  const master = await make.master({ allowance: 100 });
  const box = await make.subaccount(master, { sandbox: true, monthlyLimit: 500 });
  const live = await make.subaccount(master, { monthlyLimit: 50 });
  const masterId = master.master.id;
  const period = periodAt(utcMonths, database.clock.now());
  const acceptor = testAcceptor(database);
  const send = (subaccountId: typeof box.subaccount.id, units: number, told = {}) => {
    const recipients = Array.from({ length: units }, (_, i) => `r${i}@example.net`);
    return acceptor.accept(submissionOf({ masterId, subaccountId }, { recipients, sandbox: true, ...told }));
  };
  return { database, make, master, masterId, box, live, period, acceptor, send };
}

test("a sandbox has a counter of its own, beyond the master's allowance, and no sum of the master's moves", async () => {
  const { database, master, masterId, box, live, period, send } = await world();
  const { db, clock } = database;
  await acceptUnits(database, { masterId, subaccountId: live.subaccount.id }, 10);
  expect(await send(box.subaccount.id, 400)).toMatchObject({ kind: "accepted" });
  expect(await send(box.subaccount.id, 101)).toMatchObject({
    kind: "over",
    account: "subaccount",
    used: 400,
    cap: 500,
  });
  expect(await send(box.subaccount.id, 100)).toMatchObject({ kind: "accepted" });
  expect(await readUsage(db, master.principal, box.subaccount.id, undefined, clock)).toMatchObject({ used: 500 });
  expect(await readMasterUsage(db, master.principal, undefined, undefined, clock)).toMatchObject({
    used: 10,
    remaining: 90,
  });
  const draft = await draftStatement(db, masterId, period);
  expect(draft).toMatchObject({ units: 10, messages: 1 });
  expect(draft.lines.map(({ subaccountId }) => subaccountId)).not.toContain(box.subaccount.id);
  expect(await verifyLedger(db, clock)).toMatchObject({ ok: true, found: 0 });
  await using nextDay = await later(database, 86_400_000); // when its entries are among those that were summed before
  expect(await verifyLedger(nextDay.db, nextDay.clock)).toMatchObject({ ok: true, found: 0 });
});

test("a sandbox credential of a live account counts apart, up to the account's limit", async () => {
  const { database, make, master, live, send } = await world();
  const { db, clock } = database;
  const { id } = live.subaccount;
  const made = await createCredential(db, live.principal, id, { sandbox: true }, make.keyring, clock);
  const credentialId = made.credential.id;
  expect(await send(id, 50, { credentialId })).toMatchObject({ kind: "accepted" });
  expect(await send(id, 1, { credentialId })).toMatchObject({ kind: "over", used: 50, cap: 50 });
  expect(await readUsage(db, master.principal, id, undefined, clock)).toMatchObject({ used: 0 });
  expect(await acceptUnits(database, { masterId: master.master.id, subaccountId: id }, 50)).toMatchObject({
    kind: "accepted",
  });
  expect(await verifyLedger(db, clock)).toMatchObject({ ok: true, found: 0 });
});

test("live mail can't slip into the sandbox, nor past its state", async () => {
  const { database, master, box, live, send } = await world();
  expect(await send(live.subaccount.id, 1)).toEqual({ kind: "failed" });
  await database.pool.query("update subaccount set suspended_at = pm_now() where id = $1", [box.subaccount.id]);
  expect(await send(box.subaccount.id, 1)).toEqual({ kind: "closed" });
  const { rows } = await database.pool.query("select from message");
  expect([rows.length, master.master.allowance]).toEqual([0, 100]);
});

test("a sandbox counter that was tampered with is found", async () => {
  const { database, box, send } = await world();
  await send(box.subaccount.id, 3);
  await database.pool.query("update usage set used = used + 1 where account_id = $1", [box.subaccount.id]);
  const report = await verifyLedger(database.db, database.clock);
  expect(report.differences).toMatchObject([
    { check: "counters", detail: expect.stringContaining("4 units, their entries 3") },
  ]);
});

test("the fence knows sandbox mail that was stored", async () => {
  const { database, masterId, box, acceptor } = await world();
  const submission = submissionOf({ masterId, subaccountId: box.subaccount.id }, { sandbox: true });
  await acceptor.accept(submission);
  const known = await fence(() => freshClient(database), [submission], performance.now() + 5000);
  expect(known?.get(submission.id)).toBe(true);
});

test("who logs in with a sandbox's password, or a sandbox credential, is in the sandbox; its keys say so", async () => {
  const { database, make, box, live } = await world();
  const { db, url, clock } = database;
  await using changes = await listenForChanges({ url, log: silentLog });
  const { keyring } = make;
  const authenticator = createAuthenticator({ db, keyring, clock, changes, operatorKey: "", log: silentLog });
  const made = await createCredential(db, live.principal, live.subaccount.id, { sandbox: true }, keyring, clock);
  const seen = [];
  for (const [name, password] of [
    [box.username, box.password],
    [made.credential.username, made.password],
    [live.username, live.password],
  ] as const) {
    const answer = await authenticator.smtp(name, password, "192.0.2.1");
    seen.push(answer.kind === "sending" && answer.sandbox);
  }
  expect(seen).toEqual([true, true, false]);
  const { key } = await createKey(db, box.principal, { name: "k", scopes: ["full"] }, keyring, clock);
  expect(key).toMatch(/^pm_test_/);
  expect(await authenticator.key(key, "192.0.2.1")).toMatchObject({
    kind: "subaccount",
    subaccountId: box.subaccount.id,
  });
});

test("the simulator's addresses act as they are called, and neither mail nor report leaves the house", async () => {
  const { database, masterId, box } = await world();
  const { pool, clock } = database;
  const upstream = await startUpstream();
  afterAll(() => upstream[Symbol.asyncDispose]());
  const delivery = startDelivery({
    config: {
      upstreamUrl: `smtp://127.0.0.1:${upstream.port}`,
      hostname: "relay.example",
      retryScheduleMs: [300_000],
      dnsServers: [],
    },
    clock,
    log: silentLog,
    metrics: createMetrics(),
    spool: deliverySpool(pool, 1, 86_400_000, clock),
    capture: createCapture(pool, clock),
    tuning: { gatherMs: 1 },
  });
  afterAll(() => delivery.drain(0));
  const acceptor = testAcceptor(database, { handoff: delivery.handoff, owner: 1 });
  const account = { masterId, subaccountId: box.subaccount.id };
  const domain = "simulator.postmeter.test";
  const recipients = [...["delivered", "Bounced", "deferred"].map((name) => `${name}@${domain}`), "anyone@example.net"];
  const sent = submissionOf(account, { recipients, sandbox: true });
  await acceptor.accept(sent);
  const states = async () => {
    const { rows } = await pool.query<{ state: string }>(
      "select state from recipient where message_id = $1 order by n",
      [sent.id],
    );
    return rows.map(({ state }) => state);
  };
  await expect.poll(states, { timeout: 20_000 }).toEqual(["delivered", "bounced", "deferred", "delivered"]);
  const captured = async () => {
    delivery.wake();
    const { rows } = await pool.query<{ recipients: string[] }>("select recipients from captured order by id");
    return rows.map((row) => row.recipients);
  };
  await expect
    .poll(captured, { timeout: 20_000 })
    .toEqual([[`delivered@${domain}`, "anyone@example.net"], ["app@customer.example"]]);
  const { rows } = await pool.query("select route from queue where message_id = $1", [sent.id]);
  expect(rows).toEqual([{ route: "sandbox:" }]);
  expect(upstream.received).toEqual([]);
});
