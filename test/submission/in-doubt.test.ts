/** When the client can't have read the 250: told by how the connection ends, in clear and under TLS. */
import { Socket } from "node:net";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { MessageId } from "../../src/platform/ids.ts";
import { formatId, newId } from "../../src/platform/ids.ts";
import { PART_BYTES } from "../../src/spool/message.ts";
import { Connection } from "../../src/submission/connection.ts";
import { Client, plain, ready, send } from "./client.ts";
import { clock, type House, startHouse } from "./house.ts";

const text = "From: app@customer.example\r\nSubject: Hello\r\n\r\nHello.\r\n";

async function login(client: Client): Promise<Client> {
  await client.command("EHLO client.example");
  expect(await client.command(`AUTH PLAIN ${plain("app", "secret")}`)).toMatch(/^235/);
  return client;
}

const ways = {
  "in clear": ({ submission }: House) => ready(submission.ports.submission),
  "after STARTTLS": async ({ submission }: House) => {
    const client = await Client.connect(submission.ports.submission);
    await client.reply();
    await client.command("EHLO client.example");
    await client.command("STARTTLS");
    await client.starttls();
    return login(client);
  },
  "under TLS": async ({ submission }: House) => {
    const client = await Client.connectSecure(submission.ports.submissions!);
    await client.reply();
    return login(client);
  },
};

/** A message whose acceptance waits for `release`, up to its final dot. */
async function sendAndHold(house: House, client: Client): Promise<() => void> {
  let release = () => {};
  const asked = new Promise<void>((resolve) => {
    house.world.inDoubt = () => void resolve(); // asked right before the gate
  });
  house.world.hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"]) {
    expect(await client.command(line)).toMatch(/^[23]/);
  }
  client.write(`${text}.\r\n`);
  await asked;
  return release;
}

const openConnections = async (house: House) => (await house.metrics.connections.get()).values[0]?.value ?? 0;
const left = (house: House) => vi.waitUntil(async () => (await openConnections(house)) === 0, 30_000);
const accepted = (house: House) => vi.waitUntil(() => house.accepted.length === 1, 30_000);
/** What the server does with an end that has come takes no longer than what it does with a whole session after it. */
async function another(house: House): Promise<void> {
  const client = await ready(house.submission.ports.submission);
  await client.command("QUIT");
  await client.end();
}

describe.each(Object.entries(ways))("%s", (_, open) => {
  test("a reset before the 250 is written leaves its message in doubt", async () => {
    const house = await startHouse();
    const client = await open(house);
    const release = await sendAndHold(house, client);
    client.reset();
    await left(house);
    expect(house.unheard).toEqual([]); // nothing is stored yet
    release();
    await vi.waitUntil(() => house.unheard.length === 1, 30_000);
    expect(house.unheard[0]?.id).toBe(house.accepted[0]?.id);
  });

  test("a reset that finds the 250 unread leaves its message in doubt", async () => {
    const house = await startHouse();
    const client = await open(house);
    const release = await sendAndHold(house, client);
    client.socket.pause();
    release();
    await accepted(house);
    client.reset();
    await left(house);
    await vi.waitUntil(() => house.unheard.length === 1, 30_000);
    const [message] = house.accepted;
    const [doubtful] = house.unheard;
    expect(doubtful).toEqual({
      id: message!.id,
      subaccountId: message!.subaccountId,
      addedBytes: expect.any(Number),
      sizeBytes: message!.sizeBytes - doubtful!.addedBytes,
    });
    const bytes = Buffer.concat(message!.partZero).subarray(doubtful!.addedBytes);
    expect(bytes.toString()).toBe(text);
  });

  test("an end right after the 250 leaves nothing in doubt", async () => {
    const house = await startHouse();
    const client = await open(house);
    expect(await send(client, text.trimEnd())).toMatch(/^250/);
    client.socket.end();
    await left(house);
    await another(house);
    expect(house.unheard).toEqual([]);
  });

  test("an end before it, with which our side ends, too, leaves its message in doubt", async () => {
    const house = await startHouse();
    const client = await open(house);
    const release = await sendAndHold(house, client);
    client.socket.end();
    await left(house);
    expect(house.unheard).toEqual([]); // nothing is stored yet
    release();
    await vi.waitUntil(() => house.unheard.length === 1, 30_000);
    expect(house.unheard[0]?.id).toBe(house.accepted[0]?.id);
  });

  test("a reset after the next command leaves nothing in doubt", async () => {
    const house = await startHouse();
    const client = await open(house);
    expect(await send(client, text.trimEnd())).toMatch(/^250/);
    expect(await client.command("NOOP")).toMatch(/^250/);
    client.reset();
    await left(house);
    await another(house);
    expect(house.unheard).toEqual([]);
  });
});

test("a connection that we cut off at the end of our patience leaves its message in doubt", async () => {
  const house = await startHouse();
  const client = await ready(house.submission.ports.submission);
  const release = await sendAndHold(house, client);
  await house.submission.drain(1);
  expect(await client.end()).toBe("");
  release();
  await vi.waitUntil(() => house.unheard.length === 1, 30_000);
});

test("a client that says QUIT behind its 250 and is told 421 meanwhile, which it does not read, has read the 250", async () => {
  const house = await startHouse();
  const client = await ready(house.submission.ports.submission);
  expect(await send(client, text.trimEnd())).toMatch(/^250/);
  client.socket.pause();
  const drained = house.submission.drain(30_000);
  client.write("QUIT\r\n");
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.reset();
  await drained;
  expect(house.unheard).toEqual([]);
});

test("so does one that is closed without a word, since nobody knows what is stored", async () => {
  const house = await startHouse();
  const client = await ready(house.submission.ports.submission);
  house.world.acceptance = "unknown";
  expect(await send(client, text)).toBe("");
  expect(house.unheard).toHaveLength(1);
});

test("a reset long after the 250 ends an idle connection, and leaves nothing in doubt", async () => {
  const house = await startHouse();
  const client = await ready(house.submission.ports.submission);
  expect(await send(client, text.trimEnd())).toMatch(/^250/);
  const later = performance.now() + 31_000;
  const spy = vi.spyOn(performance, "now").mockReturnValue(later);
  client.reset();
  await left(house).finally(() => spy.mockRestore());
  expect(house.unheard).toEqual([]);
});

describe("controls", () => {
  const { _onError: onError, _onCloseEvent: onCloseEvent } = SMTPConnection.prototype;
  afterEach(() => vi.restoreAllMocks());

  test("a server that overlooks errors leaves nothing in doubt when the 250 is unread", async () => {
    vi.spyOn(Connection.prototype, "_onError").mockImplementation(onError);
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const release = await sendAndHold(house, client);
    client.socket.pause();
    release();
    await accepted(house);
    client.reset();
    await left(house);
    await another(house);
    expect(house.unheard).toEqual([]);
  });

  test("a server that does not look whether it can still answer overlooks an end", async () => {
    vi.spyOn(Socket.prototype, "writable", "get").mockReturnValue(true);
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const release = await sendAndHold(house, client);
    client.socket.end();
    await left(house);
    release();
    await accepted(house);
    await another(house);
    expect(house.unheard).toEqual([]);
  });

  test("a server that takes an end for a failure doubts a message whose 250 was read", async () => {
    vi.spyOn(Connection.prototype, "_onCloseEvent").mockImplementation(function (this: Connection, failed) {
      Object.defineProperty(this._socket, "readableEnded", { value: false });
      this._onError(new Error("an end"));
      onCloseEvent.call(this, failed);
    });
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, text.trimEnd())).toMatch(/^250/);
    client.socket.end();
    await left(house);
    expect(house.unheard).toHaveLength(1);
  });
});

describe("a retry", () => {
  const first = { id: newId<MessageId>({ ...clock, now: () => new Date() }), sizeBytes: 10, addedBytes: 20 };
  const known = async (house: House) => ({ ...first, subaccountId: house.unheard[0]?.subaccountId ?? ("" as never) });

  test("is answered with the first one's id at the limit, before the gate and acceptance, and told", async () => {
    const house = await startHouse();
    house.world.used = 100;
    house.world.inDoubt = () => known(house);
    const client = await ready(house.submission.ports.submission);
    const name = formatId("msg", first.id);
    expect(await send(client, text)).toBe(`250 2.0.0 Accepted as ${name}`);
    expect(house.accepted).toEqual([]);
    expect(house.reservations).toEqual([]);
    expect(house.lines.filter((line) => line.event === "message.repeated")).toMatchObject([{ message_id: name }]);
    expect((await house.metrics.accepted.get()).values[0]?.value ?? 0).toBe(0);
    house.world.inDoubt = () => undefined; // another message of the same account
    expect(await send(client, text)).toMatch(/^550 5\.4\.5/);
    client.destroy();
  });

  test("leaves no part behind", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    house.world.inDoubt = () => known(house);
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, text + `${"x".repeat(62)}\r\n`.repeat(PART_BYTES / 32))).toMatch(/^250/);
    expect(house.staged.size).toBe(0);
    client.destroy();
  });

  test("is put off when nobody can say whether it is one", async () => {
    const house = await startHouse();
    house.world.inDoubt = () => Promise.reject(new Error("played failure"));
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, text)).toMatch(/^451 4\.3\.0/);
    expect(house.accepted).toEqual([]);
    client.destroy();
  });
});
