/** DATA over the wire: large messages, failures in the middle, what is told about them. */
import { randomBytes } from "node:crypto";
import { createTransport } from "nodemailer";
import { describe, expect, test } from "vitest";
import { base32 } from "../../src/platform/secrets.ts";
import { PART_BYTES, PART_ZERO_BYTES } from "../../src/spool/message.ts";
import { eventually } from "../support/eventually.ts";
import { Client, plain, ready, send } from "./client.ts";
import { startHouse, stored } from "./house.ts";

const header = "From: app@customer.example\r\nSubject: big\r\n\r\n";
const lines = (bytes: number) => `${"x".repeat(62)}\r\n`.repeat(Math.ceil(bytes / 64));

describe("a large message", () => {
  test("is stored whole, written ahead part by part", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const client = await ready(house.submission.ports.submission);
    const body = lines(5 * PART_BYTES);
    expect(await send(client, header + body)).toMatch(/^250/);
    const [message] = house.accepted;
    const bytes = stored(house, message!);
    expect(bytes.toString().endsWith(`${header + body}\r\n`)).toBe(true);
    expect(message).toMatchObject({
      sizeBytes: bytes.length,
      bodyParts: 1 + Math.ceil((bytes.length - PART_ZERO_BYTES) / PART_BYTES),
    });
    client.destroy();
  });

  test.each([
    ["refused by the limit", { used: 100 }, /^550 5\.4\.5/],
    ["failed", { acceptance: "failed" as const }, /^451/],
    ["overtaken by a close", { acceptance: "closed" as const }, /^550 5\.7\.1/],
  ])("%s leaves no part behind", async (_, world, answer) => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const client = await ready(house.submission.ports.submission);
    for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
      await client.command(line);
    Object.assign(house.world, world);
    expect(await client.command(`${header}${lines(3 * PART_BYTES)}.`)).toMatch(answer);
    expect(house.staged.size).toBe(0);
    expect(house.reservations).toHaveLength(0);
    client.destroy();
  });

  test("from another's domain leaves no part behind, and needs no reservation", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const client = await ready(house.submission.ports.submission);
    const text = `From: app@other.example\r\n\r\n${lines(3 * PART_BYTES)}`;
    expect(await send(client, text)).toMatch(/^550 5\.7\.1/);
    expect(house.staged.size).toBe(0);
    client.destroy();
  });

  test("whose result nobody knows keeps its parts: they may belong to a stored message", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const client = await ready(house.submission.ports.submission);
    house.world.acceptance = "unknown";
    expect(await send(client, header + lines(2 * PART_BYTES))).toBe("");
    expect(house.staged.size).toBe(1);
    expect(house.reservations).toHaveLength(1);
  });

  test("keeps its parts also when acceptance breaks down: nobody knows how far it got", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const client = await ready(house.submission.ports.submission);
    house.world.acceptance = "throws";
    expect(await send(client, header + lines(2 * PART_BYTES))).toMatch(/^451 4\.3\.0/);
    expect(house.staged.size).toBe(1);
    client.destroy();
  });

  test("that can't be written ahead is put off", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    house.world.throws = new Set(["stage"]);
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, header + lines(3 * PART_BYTES))).toBe("451 4.3.0 Temporary failure, try again later");
    house.world.throws = new Set();
    expect(await send(client, header + lines(100))).toMatch(/^250/);
    expect(house.accepted).toHaveLength(1);
    client.destroy();
  });
});

describe("what is told", () => {
  test("of an accepted message: one line with its id and tenant, and the counters", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const answer = await send(client, `${header}x`, ["a@one.example", "b@one.example"]);
    const id = /msg_\w+/.exec(answer)?.[0];
    const told = house.lines.filter((line) => line.event === "message.accepted");
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({
      message_id: id,
      units: 2,
      master_id: expect.stringMatching(/^mas_/),
      subaccount_id: expect.stringMatching(/^sub_/),
    });
    expect((await house.metrics.accepted.get()).values[0]?.value).toBe(1);
    expect((await house.metrics.acceptedUnits.get()).values[0]?.value).toBe(2);
    client.destroy();
  });

  test("of a refused one: one line, the counter by reason, and the account's list", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    house.world.used = 99;
    await send(client, `${header}x`, ["a@one.example", "b@one.example"]);
    const told = house.lines.filter((line) => line.event === "message.refused");
    expect(told).toMatchObject([
      { reason: "quota-subaccount", units: 2, reply: expect.stringContaining("550 5.4.5 2 recipients") },
    ]);
    expect(house.refused).toMatchObject([
      { reason: "quota-subaccount", units: 2, sample: { from: "app@customer.example", clientAddress: "127.0.0.1" } },
    ]);
    expect((await house.metrics.refused.get()).values).toMatchObject([
      { labels: { reason: "quota-subaccount" }, value: 1 },
    ]);
    client.destroy();
  });

  test("never a password, whatever the client did with it", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    await client.command("RSET");
    await client.command(`AUTH PLAIN ${plain("app", "secret")}`);
    await client.command("QUIT");
    const other = await startHouse();
    other.world.throws = new Set(["authenticate"]);
    await expect(ready(other.submission.ports.submission)).rejects.toThrow("451");
    const told = JSON.stringify([...house.lines, ...other.lines]);
    expect(told).not.toContain("secret");
    expect(told).not.toContain(plain("app", "secret"));
  });

  test("a failing release or list of refusals changes no answer", async () => {
    const house = await startHouse();
    house.world.throws = new Set(["release", "refused"]);
    house.world.acceptance = "closed";
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, `${header}x`)).toMatch(/^550 5\.7\.1/);
    expect(await client.command("NOOP")).toMatch(/^250/);
    client.destroy();
  });
});

test("the period that is charged is that of the calendar at the end of the message", async () => {
  const house = await startHouse();
  const client = await ready(house.submission.ports.submission);
  for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
    await client.command(line);
  house.world.anchorDay = 20;
  expect(await client.command(`${header}x\r\n.`)).toMatch(/^250/);
  expect(house.accepted[0]?.period).toMatchObject({
    start: new Date("2026-11-20T00:00:00Z"),
    end: new Date("2026-12-20T00:00:00Z"),
  });
  client.destroy();
});

test("nobody may act as someone else", async () => {
  const house = await startHouse();
  const other = await Client.connect(house.submission.ports.submission);
  await other.reply();
  await other.command("EHLO client.example");
  expect(await other.command(`AUTH PLAIN ${plain("app", "secret", "boss")}`)).toBe("535 5.7.8 Authentication failed");
  expect(await other.command(`AUTH PLAIN ${plain("app", "secret", "app")}`)).toMatch(/^235/);
  other.destroy();
});

test("a client library sends over both ports, and its message comes in whole", async () => {
  const house = await startHouse();
  const { submission, submissions } = house.submission.ports;
  for (const [port, secure] of [
    [submission, false],
    [submissions, true],
  ] as const) {
    const transport = createTransport({
      host: "127.0.0.1",
      port: port as number,
      secure,
      requireTLS: true,
      auth: { user: "app", pass: "secret" },
      tls: { rejectUnauthorized: false },
    });
    const info = await transport.sendMail({
      from: "App <app@customer.example>",
      to: ["a@one.example", "b@two.example"],
      bcc: "c@three.example",
      subject: "Grüße",
      text: "Hallo\n.\nWelt",
      attachments: [{ filename: "a.bin", content: Buffer.alloc(300_000, 1) }],
    });
    expect(info.response).toMatch(/^250 2\.0\.0 Accepted as msg_/);
    transport.close();
  }
  expect(house.accepted.map(({ units, subject }) => [units, subject])).toEqual([
    [3, "Grüße"],
    [3, "Grüße"],
  ]);
  await eventually(async () => expect((await house.metrics.connections.get()).values[0]?.value).toBe(0));
});

test("a password that was given as the user name is not logged, and a user name is", async () => {
  const house = await startHouse();
  const client = await Client.connect(house.submission.ports.submission);
  await client.reply();
  await client.command("EHLO client.example");
  const password = base32(randomBytes(20));
  for (const name of [password, `${password}@customer.example`, "app"])
    await client.command(`AUTH PLAIN ${plain(name, "wrong")}`);
  const logged = house.lines.filter(({ event }) => event === "auth.failed").map(({ username }) => username);
  expect(logged).toEqual(["[a password]", "[a password]", "app"]);
  client.destroy();
});
