import { randomBytes } from "node:crypto";
import { simpleParser } from "mailparser";
import { expect, test } from "vitest";
import { notifyAlert } from "../../src/alerts/notify.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder } from "../../src/metering/refusals.ts";
import { formatId } from "../../src/platform/ids.ts";
import { startJobs } from "../../src/platform/jobs.ts";
import { createKeyring } from "../../src/platform/secrets.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";

const keyring = createKeyring(randomBytes(32));
const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

type Seed = {
  monthlyLimit?: number;
  allowance?: number | null;
  overage?: "bill" | "block";
  emails?: (string | { email: string; topics: string[] })[];
  name?: string;
};

async function seeded(seed: Seed = {}) {
  const database = await testDatabase();
  const { masterId, ownSubaccountId } = await seedMaster(database, {
    allowance: seed.allowance ?? null,
    overage: seed.overage ?? "block",
    ...(seed.emails && { notificationEmails: seed.emails }),
  });
  const subaccountId = await seedSubaccount(database, masterId, {
    monthlyLimit: seed.monthlyLimit ?? 100,
    ...(seed.name && { name: seed.name }),
  });
  const send = (units: number) => acceptUnits(database, { masterId, subaccountId }, units);
  const notify = async () => {
    for (const payload of await jobs(database))
      await notifyAlert(database.db, payload, { clock: database.clock, config, keyring });
  };
  return { database, masterId, ownSubaccountId, subaccountId, send, notify };
}

/** What waits in the queue of jobs. */
async function jobs({ pool }: TestDatabase): Promise<unknown[]> {
  const { rows } = await pool.query("select payload from graphile_worker._private_jobs order by id");
  return rows.map((row) => row.payload);
}

async function mails({ pool }: TestDatabase) {
  const { rows } = await pool.query<{
    sender: string;
    kind: string;
    units: number;
    master_id: string;
    bytes: Buffer;
    recipients: string[];
    queued: boolean;
  }>(
    `select m.sender, m.kind, m.units, m.master_id, b.bytes,
            (select array_agg(address order by n) from recipient where message_id = m.id) as recipients,
            exists (select from queue where message_id = m.id) as queued
       from message m join body b on b.message_id = m.id where m.kind = 'system' order by m.id`,
  );
  return await Promise.all(
    rows.map(async ({ bytes, ...row }) => ({ ...row, mail: await simpleParser(bytes), raw: bytes.toString() })),
  );
}

test("a crossed threshold is one mail to the master, in the spool, unmetered, with figures and what to do in text and HTML", async () => {
  const { database, masterId, subaccountId, send, notify } = await seeded();
  await send(85);
  await notify();
  const [sent, ...more] = await mails(database);
  expect(more).toEqual([]);
  expect(sent).toMatchObject({
    kind: "system",
    units: 0,
    sender: "postmeter@relay.example",
    recipients: ["ops@acme.example"],
    queued: true,
    master_id: masterId,
  });
  expect(sent?.mail.subject).toBe("Corner Shop has used 80 % of its monthly limit");
  expect(sent?.mail.from?.text).toBe('"Postmeter" <postmeter@relay.example>');
  expect(sent?.mail.headers.get("auto-submitted")).toBe("auto-generated");
  for (const body of [sent?.mail.text, sent?.mail.html || ""]) {
    expect(body).toContain("85 recipients (85 %)");
    expect(body).toMatch(
      /Raise the limit:\nhttps:\/\/relay\.example\/raise\/[a-z2-7]{32}\n|<a href="https:\/\/relay\.example\/raise\/[a-z2-7]{32}"[^>]*>Raise the limit</,
    );
    expect(body).toContain(`PATCH /v1/subaccounts/${formatId("sub", subaccountId)}`);
    expect(body).toContain("Postmeter");
  }
  expect(sent?.mail.text).toMatch(/Limit: +100\nLeft: +15\n/);
  expect(await send(15)).toMatchObject({ kind: "accepted" });
});

test("a message that crosses several thresholds is one mail, for the highest", async () => {
  const { database, send, notify } = await seeded();
  await send(96);
  await notify();
  expect((await mails(database)).map(({ mail }) => mail.subject)).toEqual([
    "Corner Shop has used 95 % of its monthly limit",
  ]);
});

test("each threshold is mailed once, however often the job is run, also by two at once", async () => {
  const { database, send, notify } = await seeded();
  for (const units of [80, 10, 5, 5]) await send(units);
  await Promise.all([notify(), notify()]);
  await notify();
  expect((await mails(database)).map(({ mail }) => mail.subject)).toEqual([
    "Corner Shop has used 80 % of its monthly limit",
    "Corner Shop has used 90 % of its monthly limit",
    "Corner Shop has used 95 % of its monthly limit",
    "Corner Shop has reached its monthly limit",
  ]);
});

test("a job that dies after the mail was written and before the end leaves no mail, and its repetition one", async () => {
  const { database, send, notify } = await seeded();
  await send(85);
  await database.pool.query(`create function stop() returns trigger language plpgsql as $$ begin raise exception 'power cut'; end $$;
    create constraint trigger stop after update on alert deferrable initially deferred for each row execute function stop()`);
  await expect(notify()).rejects.toThrow("power cut");
  expect(await mails(database)).toEqual([]);
  await database.pool.query("drop trigger stop on alert");
  await notify();
  expect(await mails(database)).toHaveLength(1);
});

test("the job that the crossing adds is run by the worker", async () => {
  const { database, send } = await seeded();
  await send(100);
  const { db, clock } = database;
  await using _jobs = await startJobs({
    database,
    log: silentLog,
    tasks: { alert: (payload) => notifyAlert(db, payload, { clock, config, keyring }) },
  });
  await expect.poll(async () => (await mails(database)).length, { timeout: 20_000 }).toBe(1);
  expect(await jobs(database)).toEqual([]);
});

test("a subaccount's own list replaces the master's, and topics are respected", async () => {
  const { database, subaccountId, send, notify } = await seeded({
    emails: [
      "boss@acme.example",
      { email: "bill@acme.example", topics: ["billing"] },
      { email: "quota@acme.example", topics: ["quota"] },
    ],
  });
  await send(80);
  await notify();
  await database.pool.query("update subaccount set notification_emails = $2 where id = $1", [
    subaccountId,
    JSON.stringify(["shop@corner.example", "SHOP@corner.example"]),
  ]);
  await send(10);
  await notify();
  await database.pool.query("update subaccount set notification_emails = $2 where id = $1", [
    subaccountId,
    JSON.stringify([{ email: "x@corner.example", topics: ["abuse"] }]),
  ]);
  await send(5);
  await notify();
  expect((await mails(database)).map(({ recipients }) => recipients)).toEqual([
    ["boss@acme.example", "quota@acme.example"],
    ["SHOP@corner.example"],
  ]);
  expect((await database.pool.query("select from alert where notified_at is null")).rowCount).toBe(0);
});

test("the master's own allowance is alerted too, against the allowance and not the cap", async () => {
  const { database, send, notify } = await seeded({ monthlyLimit: 10_000, allowance: 100, overage: "bill" });
  await send(85);
  await send(30);
  await notify();
  const sent = await mails(database);
  expect(sent.map(({ mail }) => mail.subject)).toEqual([
    "Acme Hosting has used 80 % of its monthly allowance",
    "Acme Hosting has reached its monthly allowance",
  ]);
  expect(sent[1]?.mail.text).toContain("115 recipients (115 %)");
  expect(sent[1]?.mail.text).toContain("billed as overage. Sending stops at 300.");
});

test("a message that is refused below 100 percent is told like 100 percent", async () => {
  const { database, masterId, subaccountId, send, notify } = await seeded();
  await send(97);
  await notify();
  const recorder = createRefusalRecorder({ pool: database.pool, clock: database.clock, log: silentLog });
  const period = periodAt(utcMonths, database.clock.now());
  recorder.refused({ masterId, subaccountId, period, reason: "quota-subaccount", units: 5000 });
  await recorder[Symbol.asyncDispose]();
  await notify();
  const sent = await mails(database);
  expect(sent.map(({ mail }) => mail.subject)).toEqual([
    "Corner Shop has used 95 % of its monthly limit",
    "Mail of Corner Shop is refused: its monthly limit has no room for it",
  ]);
  expect(sent[1]?.mail.text).toContain("97 recipients (97 %)");
});

test("a master that is billed above its allowance is told again when its cap refuses mail", async () => {
  const { database, masterId, subaccountId, send, notify } = await seeded({
    monthlyLimit: 10_000,
    allowance: 100,
    overage: "bill",
  });
  await send(290);
  const refuse = async () => {
    const recorder = createRefusalRecorder({ pool: database.pool, clock: database.clock, log: silentLog });
    const period = periodAt(utcMonths, database.clock.now());
    recorder.refused({ masterId, subaccountId, period, reason: "quota-master", units: 20 });
    await recorder[Symbol.asyncDispose]();
  };
  await refuse();
  await refuse();
  await notify();
  expect((await mails(database)).map(({ mail }) => mail.subject)).toEqual([
    "Acme Hosting has reached its monthly allowance",
    "Mail of Acme Hosting is refused: its monthly allowance has no room for it",
  ]);
});

test("a raise re-arms: the same threshold of the new limit is mailed again, the raise itself is silent", async () => {
  const { database, subaccountId, send, notify } = await seeded();
  await send(80);
  await database.pool.query("update subaccount set monthly_limit = 200 where id = $1", [subaccountId]);
  await send(80);
  await notify();
  expect((await mails(database)).map(({ mail }) => mail.text?.match(/Used: +(.*)/)?.[1])).toEqual([
    "80 recipients (80 %)",
    "160 recipients (80 %)",
  ]);
});

test("names that others chose add no header, no address and no markup", async () => {
  const { database, send, notify } = await seeded({ name: "A <b>\"&' Ünïcode", emails: ["ops@acme.example"] });
  await send(80);
  await notify();
  const [sent] = await mails(database);
  expect(sent?.mail.subject).toContain("A <b>\"&' Ünïcode has used");
  expect(sent?.mail.html).toContain("A &#60;b&#62;&#34;&#38;&#39; Ünïcode");
  expect(sent?.raw).not.toMatch(/[^\r]\n|[^\r\n\t -~]/);
});

test("nobody to tell is no failure", async () => {
  const { database, send, notify } = await seeded({ emails: [{ email: "bill@acme.example", topics: ["billing"] }] });
  await send(80);
  await notify();
  expect(await mails(database)).toEqual([]);
  expect((await database.pool.query("select from alert where notified_at is null")).rowCount).toBe(0);
});
