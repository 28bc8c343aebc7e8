import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createNetworks, plainAddress, readProxyHeader } from "../../src/submission/proxy.ts";
import { Client, plain } from "./client.ts";
import { startHouse } from "./house.ts";

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** A header of version 2. */
function binary(command: number, family: number, addresses: Buffer): Buffer {
  const head = Buffer.alloc(16);
  signature.copy(head);
  head[12] = 0x20 | command;
  head[13] = family;
  head.writeUInt16BE(addresses.length, 14);
  return Buffer.concat([head, addresses]);
}

const v4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0x30, 0x39, 0, 25]);
const v6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.alloc(16),
  Buffer.from([0x30, 0x39, 0, 25]),
]);

describe("the PROXY header", () => {
  test.each([
    ["PROXY TCP4 192.0.2.1 198.51.100.1 12345 25\r\n", { address: "192.0.2.1", port: 12345 }],
    ["PROXY TCP6 2001:DB8::1 2001:db8::2 12345 25\r\n", { address: "2001:db8::1", port: 12345 }],
    ["PROXY UNKNOWN\r\n", null],
    ["PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", null],
  ])("%j", (line, client) => {
    expect(readProxyHeader(Buffer.from(`${line}EHLO x\r\n`))).toEqual({ kind: "header", length: line.length, client });
  });

  test("version 2 is read, with what follows the addresses skipped", () => {
    expect(readProxyHeader(binary(1, 0x11, v4))).toEqual({
      kind: "header",
      length: 28,
      client: { address: "192.0.2.1", port: 12345 },
    });
    expect(readProxyHeader(binary(1, 0x21, Buffer.concat([v6, Buffer.alloc(9)])))).toEqual({
      kind: "header",
      length: 61,
      client: { address: "2001:db8::1", port: 12345 },
    });
    expect(readProxyHeader(binary(0, 0x11, v4))).toMatchObject({ kind: "header", client: null });
    expect(readProxyHeader(binary(1, 0x00, Buffer.alloc(0)))).toMatchObject({ kind: "header", client: null });
  });

  test.each([
    "PROXY TCP4 300.0.2.1 198.51.100.1 1 2\r\n",
    "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 70000 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
    "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
    `PROXY ${"x".repeat(200)}`,
    binary(2, 0x11, v4).toString("latin1"),
    binary(1, 0x11, v4.subarray(0, 4)).toString("latin1"),
  ])("%j is none", (text) => {
    expect(readProxyHeader(Buffer.from(text, "latin1"))).toEqual({ kind: "invalid" });
  });

  test.each(["EHLO client.example\r\n", "\r\n\r\nEHLO", "\x16\x03\x01\x02", "PROXZ", "x"])("%j begins none", (text) => {
    expect(readProxyHeader(Buffer.from(text, "latin1"))).toEqual({ kind: "absent" });
  });

  test("a part of a good one is incomplete, never invalid", () => {
    const whole = fc.constantFrom(
      Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.1 12345 25\r\n"),
      binary(1, 0x11, v4),
      binary(1, 0x21, v6),
    );
    fc.assert(
      fc.property(whole, fc.nat(), (header, n) => {
        expect(readProxyHeader(header.subarray(0, n % header.length))).toEqual({ kind: "incomplete" });
      }),
    );
  });

  test("networks are told apart", () => {
    const trusted = createNetworks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);
    expect(["10.1.2.3", "192.0.2.7", "2001:db8::1"].every(trusted)).toBe(true);
    expect(["11.0.0.1", "192.0.2.8", "::1", "", "x"].some(trusted)).toBe(false);
    expect(plainAddress("::ffff:10.1.2.3")).toBe("10.1.2.3");
  });
});

describe("behind a trusted proxy", () => {
  const behind = { config: { trustedProxies: ["127.0.0.0/8"] }, limits: { proxyHeaderMs: 60_000 } };

  test("the client is who the proxy says, on both ports, and never on this machine", async () => {
    const house = await startHouse(behind);
    const client = await Client.connect(house.submission.ports.submission);
    client.write("PROXY TCP4 127.0.0.1 198.51.100.1 12345 25\r\nEHLO client.example\r\n");
    expect((await client.reply())[0]).toMatch(/^220/);
    const hello = await client.reply();
    expect(hello.join("\n")).not.toContain("AUTH"); // else cleartext AUTH from loopback would be allowed
    await client.command("STARTTLS");
    await client.starttls();
    await client.command("EHLO client.example");
    await client.command(`AUTH PLAIN ${plain("app", "wrong")}`);
    expect(house.lines.find((line) => line.event === "auth.failed")).toMatchObject({ client: "127.0.0.1" });
    client.destroy();

    const implicit = await Client.connect(house.submission.ports.submissions as number);
    implicit.write("PROXY TCP4 192.0.2.9 198.51.100.1 12345 25\r\n");
    await implicit.starttls();
    expect((await implicit.reply())[0]).toMatch(/^220/);
    await implicit.command("EHLO client.example");
    await implicit.command(`AUTH PLAIN ${plain("app", "wrong")}`);
    expect(house.lines.findLast((line) => line.event === "auth.failed")).toMatchObject({ client: "192.0.2.9" });
    implicit.destroy();
  });

  test("version 2, sent in pieces, works, and its address is the one that is logged", async () => {
    const house = await startHouse(behind);
    const client = await Client.connect(house.submission.ports.submission);
    for (const byte of binary(1, 0x11, v4)) client.write(Buffer.from([byte]));
    expect((await client.reply())[0]).toMatch(/^220/);
    await client.command("EHLO client.example");
    await client.command("STARTTLS");
    await client.starttls();
    await client.command("EHLO client.example");
    await client.command(`AUTH PLAIN ${plain("app", "wrong")}`);
    expect(house.lines.find((line) => line.event === "auth.failed")).toMatchObject({ client: "192.0.2.1" });
    client.destroy();
  });

  test("a proxy without a header is served as itself, on both ports, but gets no AUTH without TLS", async () => {
    const house = await startHouse({ ...behind, limits: { proxyHeaderMs: 20 } });
    const { submission, submissions } = house.submission.ports;
    const silent = await Client.connect(submission);
    expect((await silent.reply())[0]).toMatch(/^220/);
    expect(await silent.command("EHLO client.example")).not.toContain("AUTH");
    expect(await silent.command(`AUTH PLAIN ${plain("app", "secret")}`)).toMatch(/^530 5\.7\.0 Must issue a STARTTLS/);
    const hasty = await Client.connect(submission);
    hasty.write("EHLO client.example\r\n");
    expect((await hasty.reply())[0]).toMatch(/^220/);
    expect((await hasty.reply())[0]).toMatch(/^250/);
    const secure = await Client.connectSecure(submissions as number);
    expect((await secure.reply())[0]).toMatch(/^220/);
    await secure.command("EHLO client.example");
    await secure.command(`AUTH PLAIN ${plain("app", "wrong")}`);
    expect(house.lines.findLast((line) => line.event === "auth.failed")).toMatchObject({ client: "127.0.0.1" });
    for (const client of [silent, hasty, secure]) client.destroy();
  });

  test.each(["PROXY TCP4 300.0.2.1 198.51.100.1 1 2\r\n", `PROXY ${"x".repeat(200)}`])(
    "a malformed header (%j) gets no session",
    async (header) => {
      const house = await startHouse(behind);
      const client = await Client.connect(house.submission.ports.submission);
      client.write(header);
      expect(await client.end()).toBe("");
    },
  );

  test("shares are those of the clients, not of the proxy", async () => {
    const house = await startHouse({ ...behind, config: { ...behind.config, maxConnectionsPerClient: 1 } });
    const open = async (address: string) => {
      const client = await Client.connect(house.submission.ports.submission);
      client.write(`PROXY TCP4 ${address} 198.51.100.1 1 25\r\n`);
      return { client, greeting: (await client.reply())[0] };
    };
    const results = [await open("192.0.2.1"), await open("192.0.2.2"), await open("192.0.2.1")];
    expect(results.map(({ greeting }) => greeting?.slice(0, 3))).toEqual(["220", "220", "421"]);
    for (const { client } of results) client.destroy();
  });
});

test("a header from anybody else is a command that nobody knows", async () => {
  const house = await startHouse({ config: { trustedProxies: ["10.0.0.0/8"] } });
  const client = await Client.connect(house.submission.ports.submission);
  await client.reply();
  expect(await client.command("PROXY TCP4 192.0.2.1 198.51.100.1 1 25")).toMatch(/^500/);
  client.destroy();
});
