/** What sessions hold of messages under way is bounded over all of them, and nobody waits for ever. */
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { createMemory, type Memory, type Share } from "../../src/submission/memory.ts";
import { receive } from "../../src/submission/receive.ts";
import type { Session, Transaction } from "../../src/submission/session.ts";
import { createSlabs } from "../../src/submission/slabs.ts";
import { type Client, ready } from "./client.ts";
import { startHouse, stored } from "./house.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const FAVOURED = 8; // of memory.ts

async function resolved(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

let owners = 0;
/** Of an owner of its own unless told. */
function open(memory: Memory, owner = `owner ${owners++}`, cut = () => {}): Share {
  return memory.open(owner, cut);
}

/** More shares that hold what they may, until the favoured ones are all taken. */
async function exhaust(memory: Memory): Promise<Share[]> {
  const shares = Array.from({ length: FAVOURED }, () => open(memory));
  for (const share of shares) {
    expect(share.hold(40 * KIB, 40 * KIB)).toBe(false);
    await share.room();
  }
  return shares;
}

describe("a share", () => {
  test("of a small message is never asked to wait, and costs nothing", async () => {
    const memory = createMemory(0);
    await exhaust(memory);
    const before = memory.heldBytes;
    expect(open(memory).hold(32 * KIB, 0)).toBe(true);
    expect(memory.heldBytes).toBe(before);
  });

  test("that grows beyond the budget waits until another gives back", async () => {
    const memory = createMemory(460 * KIB);
    const large = open(memory);
    expect(large.hold(256 * KIB, 0)).toBe(true);
    const others = [open(memory), open(memory)];
    expect(others[0]?.hold(268 * KIB, 0)).toBe(false);
    await exhaust(memory);
    const room = others[0]?.room() as Promise<void>;
    expect(await resolved(room)).toBe(false);
    expect(others[0]?.hold(268 * KIB, 0)).toBe(true); // it does not grow: what it has may be written or dropped
    for (let n = 0; n < 2; n += 1) large.close();
    others[1]?.close();
    expect(await resolved(room)).toBe(false); // its own and eight favoured ones still fill it
    others[0]?.close();
    expect(await resolved(room)).toBe(true); // who is gone waits no longer
  });

  test("that waits is served in the order of asking", async () => {
    const memory = createMemory(0);
    const favoured = await exhaust(memory);
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) => {
      const share = open(memory);
      share.hold(64 * KIB, 0);
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

test("one owner holds half and no more, however many its sessions are; others find room", async () => {
  const memory = createMemory(4 * MIB);
  const grow = async (share: Share) => share.hold(96 * KIB, 0) || resolved(share.room());
  const greedy = [];
  for (let n = 0; n < 100; n++) greedy.push(await grow(open(memory, "greedy")));
  expect(greedy.filter((grown) => !grown)).toHaveLength(100 - 31 - FAVOURED);
  for (let n = 0; n < 31; n++) expect(open(memory).hold(96 * KIB, 0)).toBe(true);
});

test("whose owner holds least goes first: a crowd of another stands behind it", async () => {
  const memory = createMemory(0);
  const favoured = await exhaust(memory);
  const order: string[] = [];
  for (const owner of ["crowd", "crowd", "crowd", "single"]) {
    const share = open(memory, owner);
    share.hold(64 * KIB, 0);
    void share.room().then(() => order.push(owner));
  }
  favoured[0]!.close();
  await resolved(Promise.resolve());
  expect(order).toEqual(["single"]);
});

describe("a client that sends next to nothing", () => {
  type Stage = Readonly<{ memory: Memory; cut: string[]; pass(ms: number): void; share(name: string): Share }>;

  /** Memory that is full: its favoured ones are taken, too. */
  async function full(): Promise<Stage> {
    let nowMs = 0;
    const memory = createMemory(0, () => nowMs);
    const cut: string[] = [];
    await exhaust(memory).then((shares) => shares.forEach((share) => void share.pause()));
    const share = (name: string) => memory.open(name, () => void cut.push(name));
    const pass = (ms: number) => {
      nowMs += ms;
      memory.look();
    };
    return { memory, cut, pass, share };
  }

  test("is cut off when it holds memory for which others have waited two seconds, once", async () => {
    const { cut, pass, share } = await full();
    share("slow").hold(40 * KIB, 40 * KIB);
    pass(60_000);
    expect(cut).toEqual([]); // nobody waits
    const other = share("other");
    other.hold(64 * KIB, 64 * KIB);
    other.pause();
    void other.room();
    pass(1_999);
    expect(cut).toEqual([]);
    pass(1);
    pass(1_000);
    expect(cut).toEqual(["slow"]);
  });

  test("is left alone while it waits for us, sends enough, or holds no more than a small message", async () => {
    const { cut, pass, share } = await full();
    const quick = share("quick");
    const paused = share("paused");
    paused.hold(40 * KIB, 40 * KIB);
    paused.pause();
    share("small").hold(32 * KIB, 32 * KIB);
    const other = share("other");
    other.hold(64 * KIB, 64 * KIB);
    other.pause();
    void other.room();
    for (let n = 0; n < 21; n++) {
      quick.hold(40 * KIB, 11 * KIB);
      pass(1_000);
    }
    expect(cut).toEqual([]);
    paused.resume();
    pass(2_999);
    expect(cut).toEqual([]);
    pass(1); // the quick one has stopped meanwhile
    expect(cut).toEqual(["quick", "paused"]);
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

  /** Sessions that send `bytes` each and never an end, without a network between. */
  async function stall(sessions: number, bytes: number, memory: Memory): Promise<void> {
    const { deps } = await startHouse();
    const account = await deps.authenticate("app", "secret", "192.0.2.1");
    if (account.kind !== "sending") throw new Error(account.kind);
    const transaction = {
      overflowed: false,
      account,
      sender: "app@customer.example",
      parameters: { smtpUtf8: false, eightBit: false, envelopeId: null, ret: null },
      recipients: new Map(),
    } as Transaction;
    const session = { clientAddress: "192.0.2.1", greetedAs: "client.example", tls: true } as Session;
    const receiving = { ...deps, hostname: "relay.example", maxMessageBytes: MIB, memory, slabs: createSlabs() };
    for (let n = 0; n < sessions; n++) {
      const stream = new PassThrough();
      void receive(stream, session, transaction, receiving, { received() {}, tooSlow() {} });
      stream.write(header);
      for (let sent = 0; sent < bytes; sent += 8 * KIB) stream.write("x".repeat(8 * KIB));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  test("a hundred sessions that stall with a quarter of a megabyte hold what they may, and no more", async () => {
    const chunks = 100 * 64 * KIB;
    const memory = createMemory(2 * MIB);
    await stall(100, 240 * KIB, memory);
    expect(memory.heldBytes).toBeGreaterThan(MIB);
    expect(memory.heldBytes).toBeLessThan(2 * MIB + chunks + FAVOURED * 240 * KIB);
    const unbounded = createMemory(Number.POSITIVE_INFINITY);
    await stall(100, 240 * KIB, unbounded);
    expect(unbounded.heldBytes).toBeGreaterThan(2 * MIB + chunks + FAVOURED * 240 * KIB);
  });

  test("clients that stall with all of the memory are cut off, and the others come through", async () => {
    const house = await startHouse({ limits: { maxReceivingBytes: 200 * KIB } });
    const { submission } = house.submission.ports;
    const stalled = await Promise.all(Array.from({ length: FAVOURED + 1 }, () => begin(submission)));
    for (const client of stalled) client.write(header + body);
    const others = await Promise.all(Array.from({ length: 5 }, () => begin(submission)));
    const answers = await Promise.all(others.map((client) => client.command(`${header}${body}.`)));
    expect(answers.filter((answer) => answer.startsWith("250"))).toHaveLength(5);
    expect((await stalled[0]!.reply())[0]).toBe("421 4.4.2 Too slow while others wait, closing connection");
    for (const client of [...stalled, ...others]) client.destroy();
  });
});
