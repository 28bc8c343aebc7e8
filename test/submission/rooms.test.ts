/** The door with the real rooms behind it, on a real Postgres: what a client is told is what is stored and charged. */
import { afterAll, describe, expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import type { MasterInput } from "../../src/accounts/create-master.ts";
import type { SubaccountInput } from "../../src/accounts/create-subaccount.ts";
import { revokeCredential } from "../../src/accounts/credentials.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { createSenderDomains } from "../../src/domains/allowed.ts";
import { freshClient } from "../../src/platform/database.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { createAcceptor } from "../../src/spool/accept.ts";
import { readBody } from "../../src/spool/body.ts";
import { openInDoubt } from "../../src/spool/in-doubt.ts";
import { registerNode } from "../../src/spool/lease.ts";
import { createStage } from "../../src/spool/stage.ts";
import { startSubmission } from "../../src/submission/server.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";
import { Client, plain, send } from "./client.ts";
import { testTls } from "./house.ts";

const database = await testDatabase();
const { pool, db, clock, url } = database;
const people = tenants({ db, clock });
const { keyring } = people;
const changes = await listenForChanges({ url, log: silentLog });
const metrics = createMetrics();
const gate = createGate({ database, metrics, log: silentLog, clock });
const handoff = { offer: () => false, push: () => {}, withdraw: () => {} };
const authenticator = createAuthenticator({ db, keyring, clock, changes, operatorKey: "", log: silentLog });
const acceptor = createAcceptor({
  pool,
  owner: await registerNode(pool, "relay.example", process.pid),
  handoff,
  publish: () => {},
  connect: () => freshClient(database),
  metrics,
  log: silentLog,
  lifetimeMs: 3_600_000,
});
const inDoubt = await openInDoubt({ pool, changes, metrics, log: silentLog });
const submission = await startSubmission({
  config: {
    submissionHost: "127.0.0.1",
    submissionPort: 0,
    submissionsPort: 0,
    authCleartext: "loopback",
    hostname: "relay.example",
    maxMessageBytes: 30_000_000,
    maxRecipients: 100,
    trustedProxies: [],
    maxConnectionsPerClient: 100,
  },
  tls: await testTls(),
  clock,
  log: silentLog,
  metrics,
  gate,
  authenticate: authenticator.smtp,
  sending: authenticator.sending,
  senderAllowed: createSenderDomains({ db, changes }).allowed,
  accept: acceptor.accept,
  inDoubt,
  createStage: (id) => createStage(pool, id),
  refused: () => {},
});
afterAll(async () => {
  await submission[Symbol.asyncDispose]();
  await inDoubt[Symbol.asyncDispose]();
  await changes[Symbol.asyncDispose]();
  await gate[Symbol.asyncDispose]();
});

async function tenant(limit: number | null, master: Partial<MasterInput> = {}, more: Partial<SubaccountInput> = {}) {
  const payer = await people.master({ senderPolicy: "any", ...master });
  const sender = await people.subaccount(payer, { monthlyLimit: limit, ...more });
  return { payer, sender };
}

async function login(username: string, password: string): Promise<{ client: Client; answer: string }> {
  const client = await Client.connect(submission.ports.submission);
  await client.reply();
  await client.command("EHLO client.example");
  return { client, answer: await client.command(`AUTH PLAIN ${plain(username, password)}`) };
}

const header = "From: app@customer.example\r\nSubject: x\r\n\r\n";
const charged = async (id: string) =>
  Number(
    (await pool.query("select coalesce(sum(units), 0) n from usage_entry where subaccount_id = $1", [id])).rows[0].n,
  );

describe("with the real rooms", () => {
  test("each 250 is a stored and charged message, up to the limit and not one further", async () => {
    const { sender } = await tenant(5);
    const { client } = await login(sender.username, sender.password);
    const two = ["a@one.example", "b@one.example"];
    expect(await send(client, `${header}1`, two)).toMatch(/^250 2\.0\.0 Accepted as msg_/);
    expect(await send(client, `${header}2`, two)).toMatch(/^250/);
    expect(await send(client, `${header}3`, two)).toMatch(
      /^550 5\.4\.5 2 recipients, but only 1 of 5 left until .*Z \[QUOTA-SUBACCOUNT\]$/,
    );
    expect(await send(client, `${header}4`, ["c@one.example"])).toMatch(/^250/);
    expect(await send(client, `${header}5`)).toMatch(
      /^550 5\.4\.5 Monthly limit reached: 5 of 5 used, resets .*Z \[QUOTA-SUBACCOUNT\]$/,
    );
    expect(await charged(sender.subaccount.id)).toBe(5);
    const stored = await pool.query("select count(*) n from message where subaccount_id = $1", [sender.subaccount.id]);
    expect(Number(stored.rows[0].n)).toBe(3);
    client.destroy();
  });

  test("a large message is read back as it was sent, one that is refused leaves no part", async () => {
    const { sender } = await tenant(1);
    const { client } = await login(sender.username, sender.password);
    const body = `${"0123456789".repeat(7)}\r\n`.repeat(60_000);
    expect(await send(client, header + body)).toMatch(/^250/);
    const { rows } = await pool.query("select id, body_parts, size_bytes from message where subaccount_id = $1", [
      sender.subaccount.id,
    ]);
    const parts: Uint8Array[] = [];
    for await (const part of readBody(pool, rows[0].id, rows[0].body_parts)) parts.push(part);
    const bytes = Buffer.concat(parts);
    expect(bytes.length).toBe(rows[0].size_bytes);
    expect(bytes.toString().endsWith(`${header}${body}\r\n`)).toBe(true);
    for (const line of ["MAIL FROM:<app@customer.example>"]) expect(await client.command(line)).toMatch(/^550 5\.4\.5/);
    client.destroy();

    const other = await tenant(1);
    const second = await login(other.sender.username, other.sender.password);
    expect(await send(second.client, header + body, ["a@one.example", "b@one.example"])).toMatch(/^550 5\.4\.5/);
    const left = await pool.query("select count(distinct message_id) n from body where part > 0");
    expect(Number(left.rows[0].n)).toBe(1);
    second.client.destroy();
  });

  test("the master's cap holds for all its subaccounts", async () => {
    const { payer, sender } = await tenant(null, { allowance: 2 });
    const { client } = await login(sender.username, sender.password);
    expect(await send(client, `${header}1`)).toMatch(/^250/);
    expect(await send(client, `${header}2`, ["a@one.example", "b@one.example"])).toMatch(
      /^550 5\.4\.5 2 recipients are more than this account may send now \[QUOTA-MASTER\]$/,
    );
    const sibling = await people.subaccount(payer, { monthlyLimit: null });
    const other = await login(sibling.username, sibling.password);
    expect(await send(other.client, `${header}3`)).toMatch(/^250/);
    expect(await send(client, `${header}4`)).toMatch(
      /^550 5\.4\.5 Sending is paused for this account until .*Z \[QUOTA-MASTER\]$/,
    );
    client.destroy();
    other.client.destroy();
  });

  test("a close stops an open session at once, and AUTH tells why", async () => {
    const { payer, sender } = await tenant(10);
    const { client } = await login(sender.username, sender.password);
    expect(await send(client, `${header}1`)).toMatch(/^250/);
    await transitionSubaccount(db, payer.principal, sender.subaccount.id, "close", {}, clock);
    await eventually(async () => expect(await send(client, `${header}2`)).toMatch(/^550 5\.7\.1 Account is closed/));
    expect((await login(sender.username, sender.password)).answer).toBe("525 5.7.13 Account is closed");
    expect(await charged(sender.subaccount.id)).toBe(1);
    client.destroy();
  });

  test("a revoked credential ends the session's sending", async () => {
    const { payer, sender } = await tenant(10);
    const { client } = await login(sender.username, sender.password);
    await revokeCredential(db, payer.principal, sender.credentialId, clock);
    await eventually(async () => {
      await client.command("RSET"); // a MAIL that came before the news has begun a transaction
      expect(await client.command("MAIL FROM:<app@customer.example>")).toBe(
        "550 5.7.1 These credentials have been revoked",
      );
    });
    expect((await login(sender.username, sender.password)).answer).toBe("535 5.7.8 Authentication failed");
    client.destroy();
  });

  test("unverified domains are refused under the policy verified", async () => {
    const { sender } = await tenant(10, { senderPolicy: "verified" });
    const { client } = await login(sender.username, sender.password);
    expect(await client.command("MAIL FROM:<app@customer.example>")).toBe(
      "550 5.7.1 Sender domain not verified for this account",
    );
    client.destroy();
  });

  test("five failures lock a user name out, with the right password too", async () => {
    const { sender } = await tenant(10);
    const client = await Client.connect(submission.ports.submission);
    await client.reply();
    await client.command("EHLO client.example");
    for (let n = 0; n < 5; n += 1) {
      expect(await client.command(`AUTH PLAIN ${plain(sender.username, "wrong")}`)).toBe(
        "535 5.7.8 Authentication failed",
      );
    }
    expect(await client.end()).toBe("");
    expect((await login(sender.username, sender.password)).answer).toMatch(/^421 4\.7\.0 /);
    client.destroy();
  });

  test("twenty sessions racing for the last ten units get exactly ten", async () => {
    const { sender } = await tenant(10);
    const clients = await Promise.all(Array.from({ length: 20 }, () => login(sender.username, sender.password)));
    const answers = await Promise.all(clients.map(({ client }) => send(client, `${header}x`)));
    expect(answers.filter((answer) => answer.startsWith("250"))).toHaveLength(10);
    expect(answers.filter((answer) => answer.startsWith("550 5.4.5 Monthly limit reached"))).toHaveLength(10);
    expect(await charged(sender.subaccount.id)).toBe(10);
    for (const { client } of clients) client.destroy();
  });
});
