/** What sessions hold of messages under way is bounded over all of them, and nobody waits for ever. */
import { describe, expect, test } from "vitest";
import { createMemory, type Share } from "../../src/submission/memory.ts";
import { type Client, ready } from "./client.ts";
import { startHouse, stored } from "./house.ts";

const KIB = 1024;
const FAVOURED = 8; // of memory.ts

async function resolved(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

/** More shares that hold what they may, until the favoured ones are all taken. */
async function exhaust(memory: ReturnType<typeof createMemory>): Promise<Share[]> {
  const shares = Array.from({ length: FAVOURED }, () => memory.open());
  for (const share of shares) {
    expect(share.hold(40 * KIB)).toBe(false);
    await share.room();
  }
  return shares;
}

describe("a share", () => {
  test("of a small message is never asked to wait, and costs nothing", async () => {
    const memory = createMemory(0);
    await exhaust(memory);
    const before = memory.heldBytes;
    expect(memory.open().hold(32 * KIB)).toBe(true);
    expect(memory.heldBytes).toBe(before);
  });

  test("that grows beyond the budget waits until another gives back", async () => {
    const memory = createMemory(300 * KIB);
    const large = memory.open();
    expect(large.hold(256 * KIB)).toBe(true);
    const others = await Promise.all([memory.open(), memory.open()]);
    expect(others[0]?.hold(200 * KIB)).toBe(false);
    await exhaust(memory);
    const room = others[0]?.room() as Promise<void>;
    expect(await resolved(room)).toBe(false);
    expect(others[0]?.hold(200 * KIB)).toBe(true); // it does not grow: what it has may be written or dropped
    for (let n = 0; n < 2; n += 1) large.close();
    others[1]?.close();
    expect(await resolved(room)).toBe(false); // 168 KiB and eight favoured ones still fill it
    others[0]?.close();
    expect(await resolved(room)).toBe(true); // who is gone waits no longer
  });

  test("that waits is served in the order of asking", async () => {
    const memory = createMemory(0);
    const favoured = await exhaust(memory);
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) => {
      const share = memory.open();
      share.hold(64 * KIB);
      void share.room().then(() => order.push(n));
      return share;
    });
    for (const share of favoured.slice(0, 2)) share.close();
    await resolved(Promise.resolve());
    expect(order).toEqual([1, 2]);
    for (const share of [...waiting, ...favoured]) share.close();
    await resolved(Promise.resolve());
    expect(order).toEqual([1, 2, 3]);
    expect(memory.heldBytes).toBe(0);
  });
});

describe("over the wire", () => {
  const header = "From: app@customer.example\r\nSubject: large\r\n\r\n";
  const body = `${"x".repeat(62)}\r\n`.repeat(8 * KIB); // 512 KiB

  async function begin(port: number): Promise<Client> {
    const client = await ready(port);
    for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
      await client.command(line);
    return client;
  }

  test("forty large messages at a time all come in whole, though all together never fit", async () => {
    const house = await startHouse({ limits: { maxReceivingBytes: 200 * KIB } });
    const clients = await Promise.all(Array.from({ length: 40 }, () => begin(house.submission.ports.submission)));
    const answers = await Promise.all(clients.map((client) => client.command(`${header}${body}.`)));
    expect(answers.filter((answer) => answer.startsWith("250"))).toHaveLength(40);
    for (const message of house.accepted) {
      expect(
        stored(house, message)
          .toString()
          .endsWith(header + body),
      ).toBe(true);
    }
    for (const client of clients) client.destroy();
  });

  test("clients that stall with all of the memory stop no others", async () => {
    const house = await startHouse({ limits: { maxReceivingBytes: 200 * KIB } });
    const { submission } = house.submission.ports;
    const stalled = await Promise.all(Array.from({ length: FAVOURED - 1 }, () => begin(submission)));
    for (const client of stalled) client.write(header + body);
    const others = await Promise.all(Array.from({ length: 5 }, () => begin(submission)));
    for (const client of others) expect(await client.command(`${header}${body}.`)).toMatch(/^250/);
    for (const client of [...stalled, ...others]) client.destroy();
  });
});
