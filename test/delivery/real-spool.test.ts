/** The worker on the real spool: what it writes is what the tables say afterwards. */
import { sql } from "kysely";
import { expect, test, vi } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { createCapture } from "../../src/delivery/capture.ts";
import { listCaptured, readCaptured, readCapturedBytes } from "../../src/delivery/captured.ts";
import { type Delivery, startDelivery } from "../../src/delivery/worker.ts";
import { type MasterId, type MessageId, newId, PLATFORM, type SubaccountId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { enqueue } from "../../src/spool/enqueue.ts";
import { registerNode } from "../../src/spool/lease.ts";
import { deliverySpool } from "../../src/spool/work.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { type Script, startUpstream, type Upstream } from "../support/upstream.ts";

const LIFETIME_MS = 86_400_000;
const operator: Operator = { kind: "operator", via: "key" };
const content = Buffer.from("From: Ops <ops@relay.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n");

async function openWorker(upstreamUrl: string): Promise<{ database: TestDatabase; delivery: Delivery }> {
  const database = await testDatabase();
  const { pool, clock } = database;
  const owner = await registerNode(pool, "relay.example", process.pid);
  const delivery = startDelivery({
    config: { upstreamUrl, hostname: "relay.example", retryScheduleMs: [1], dnsServers: [] },
    clock,
    log: silentLog,
    metrics: createMetrics(),
    spool: deliverySpool(pool, owner, LIFETIME_MS, clock),
    capture: createCapture(pool, clock),
    tuning: { gatherMs: 1 },
  });
  return { database, delivery };
}

async function send({ pool, clock }: TestDatabase, recipients: string[]): Promise<MessageId> {
  const id = newId<MessageId>(clock);
  const mail = { kind: "system" as const, masterId: PLATFORM, subaccountId: PLATFORM, sender: "ops@relay.example" };
  await enqueue(pool, { ...mail, id, recipients, bytes: content, smtpUtf8: false }, LIFETIME_MS);
  return id;
}

async function withWorker(
  script: Script,
  run: (at: { database: TestDatabase; upstream: Upstream; delivery: Delivery }) => Promise<void>,
) {
  const upstream = await startUpstream(script);
  const { database, delivery } = await openWorker(`smtp://127.0.0.1:${upstream.port}`);
  try {
    await run({ database, upstream, delivery });
  } finally {
    await delivery.drain(5_000);
  }
}

async function left({ db }: TestDatabase): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from queue`.execute(db);
  return rows[0]?.n ?? 0;
}

async function recipientsOf({ db }: TestDatabase, id: MessageId) {
  const { rows } = await sql<{ state: string; attempts: { outcome: string; code: number | null }[] }>`
    select state, attempts from recipient where message_id = ${id} order by n`.execute(db);
  return rows.map(({ state, attempts }) => [state, ...attempts.map(({ outcome, code }) => `${outcome} ${code}`)]);
}

const emptied = (database: TestDatabase) =>
  vi.waitFor(async () => expect(await left(database)).toBe(0), { timeout: 20_000, interval: 20 });

test("delivered, deferred and tried again, bounced: each recipient's row tells its own story", async () => {
  const rcpt: Script["rcpt"] = (line, n) => {
    if (line.includes("nobody")) return "550 5.1.1 unknown";
    return line.includes("busy") && n < 3 ? "450 4.2.1 busy" : undefined;
  };
  await withWorker({ rcpt }, async ({ database, upstream, delivery }) => {
    const id = await send(database, ["a@x.example", "busy@x.example", "nobody@x.example"]);
    delivery.wake();
    await emptied(database);
    expect(await recipientsOf(database, id)).toEqual([
      ["delivered", "delivered 250"],
      ["delivered", "deferred 450", "delivered 250"],
      ["bounced", "bounced 550"],
    ]);
    const report = upstream.received.find(({ mail }) => mail.startsWith("MAIL FROM:<>"));
    expect(report?.rcpt).toEqual(["RCPT TO:<ops@relay.example>"]);
    expect(report?.bytes.toString()).toContain("Final-Recipient: rfc822; nobody@x.example");
  });
});

test("a report that can't be delivered causes no other report", async () => {
  await withWorker({ rcpt: () => "550 5.1.1 unknown" }, async ({ database, delivery }) => {
    await send(database, ["nobody@x.example"]);
    delivery.wake();
    await emptied(database);
    const { rows } = await sql<{ kind: string; n: number }>`
      select kind, count(*)::int as n from message group by 1 order by 1`.execute(database.db);
    expect(rows).toEqual([
      { kind: "dsn", n: 1 },
      { kind: "system", n: 1 },
    ]);
  });
});

test("mail for the built-in mailbox can be listed and read by those it belongs to, and by nobody else", async () => {
  const { database, delivery } = await openWorker("capture:");
  const { db } = database;
  const id = await send(database, ["a@x.example", "b@y.example"]);
  delivery.wake();
  await emptied(database);
  const [mail, ...others] = await listCaptured(db, operator, { limit: 10 });
  expect(others).toEqual([]);
  expect(mail).toMatchObject({
    messageId: id,
    from: "ops@relay.example",
    recipients: ["a@x.example", "b@y.example"],
    subject: "Grüße",
    headerFrom: "ops@relay.example",
    sizeBytes: content.length,
  });
  if (mail === undefined) throw new Error("nothing was captured");
  expect(Buffer.from(await readCapturedBytes(db, operator, mail.id))).toEqual(content);
  expect((await readCaptured(db, operator, mail.id)).text?.trim()).toBe("Hello");
  const stranger = {
    kind: "subaccount" as const,
    masterId: newId<MasterId>(database.clock),
    subaccountId: newId<SubaccountId>(database.clock),
    keyId: null,
    scopes: ["full" as const],
  };
  expect(await listCaptured(db, stranger, { limit: 10 })).toEqual([]);
  await expect(readCapturedBytes(db, stranger, mail.id)).rejects.toMatchObject({ kind: "not-found" });
  await delivery.drain(5_000);
});

test("what is given back at the end is due for others at once, and its attempt is not counted", async () => {
  const upstream = await startUpstream({ end: () => new Promise(() => {}) });
  const { database, delivery } = await openWorker(`smtp://127.0.0.1:${upstream.port}?connections=1`);
  for (let i = 0; i < 5; i += 1) await send(database, ["a@x.example"]);
  delivery.wake();
  await vi.waitFor(() => expect(delivery.state().held).toBe(5), { timeout: 20_000, interval: 5 });
  await vi.waitFor(() => expect(upstream.commands).toContain("DATA"), { timeout: 20_000, interval: 5 });
  await delivery.drain(0);
  const { rows } = await sql<{ owner: number | null; attempt: number; due: boolean }>`
    select owner, attempt, due_at <= pm_now() as due from queue order by attempt, message_id`.execute(database.db);
  expect(rows.filter(({ attempt }) => attempt === 0).length).toBeGreaterThanOrEqual(3);
  for (const { owner, attempt, due } of rows) if (attempt === 0) expect([owner, due]).toEqual([null, true]);
});
