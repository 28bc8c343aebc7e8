/**
 * The traps of smtp-server, each closed here or in test/dialogues, and the places of the library that connection.ts
 * overrides: these tests fail when a new version changes them.
 */
import dns from "node:dns";
import fc from "fast-check";
import { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Client, ready, send } from "./client.ts";
import { startHouse, stored } from "./house.ts";

const EARLY_TALKER_MS = 100;
const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

afterEach(() => {
  vi.restoreAllMocks();
  expect(unhandled).toEqual([]);
});

const timers = (spy: { mock: { calls: unknown[][] } }) => spy.mock.calls.map(([, ms]) => ms);

describe("the greeting", () => {
  test("comes without the library's wait for early talkers, which is still where we cut it out", async () => {
    const house = await startHouse();
    const spy = vi.spyOn(globalThis, "setTimeout");
    const client = await Client.connect(house.submission.ports.submission);
    expect(await client.reply()).toEqual(["220 relay.example ESMTP Postmeter"]);
    expect(timers(spy)).not.toContain(EARLY_TALKER_MS);

    const bare = new SMTPServer({ ...house.tls.context(), disableReverseLookup: true, logger: false });
    await new Promise<void>((resolve) => bare.listen(0, "127.0.0.1", resolve));
    const other = await Client.connect((bare.server.address() as { port: number }).port);
    await other.reply();
    expect(timers(spy)).toContain(EARLY_TALKER_MS);
    client.destroy();
    other.destroy();
    bare.close();
  });

  test("needs no look-up of the client's name", async () => {
    const reverse = vi.spyOn(dns, "reverse");
    const house = await startHouse();
    const client = await Client.connect(house.submission.ports.submission);
    await client.reply();
    expect(reverse).not.toHaveBeenCalled();
    client.destroy();
  });
});

test("what connection.ts overrides is there to be overridden", () => {
  const { prototype } = SMTPConnection;
  for (const name of [
    "init",
    "send",
    "_onCommand",
    "_onError",
    "_resetSession",
    "_setListeners",
    "connectionReady",
    "_sendGreeting",
    "close",
  ]) {
    expect(Object.hasOwn(prototype, name), name).toBe(true);
  }
});

describe("replies", () => {
  test("come one for each command, whatever it is", async () => {
    const house = await startHouse({ limits: { maxErrors: 1e9, maxCommands: 1e9 } });
    const verbs = [
      "MAIL FROM:",
      "RCPT TO:",
      "EHLO ",
      "HELO ",
      "NOOP ",
      "VRFY ",
      "HELP",
      "RSET",
      "AUTH PLAIN ",
      "FOO",
      "",
    ];
    const argument = fc.oneof(
      fc.constantFrom("<app@customer.example>", "<a@one.example>", "<>", " SIZE=1", "x.example"),
      fc.string(),
    );
    const line = fc.tuple(
      fc.constantFrom(...verbs),
      argument,
      fc.constantFrom("", " BODY=8BITMIME", " =", " X=", " RET=FULL"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 5 }), async (lines) => {
        const client = await ready(house.submission.ports.submission);
        const sent = lines.map((parts) => parts.join("").replace(/[\r\n]/g, ""));
        client.write(sent.map((text) => `${text}\r\n`).join(""));
        for (const text of sent) expect((await client.reply())[0], text).toMatch(/^[245]\d\d[ -]/);
        expect(await client.command("NOOP")).toMatch(/^250 /);
        client.destroy();
      }),
      { numRuns: 60 },
    );
  });

  test("to pipelined commands go out together", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const packets: string[] = [];
    client.socket.on("data", (text) => packets.push(String(text)));
    client.write("MAIL FROM:<app@customer.example>\r\nRCPT TO:<a@one.example>\r\nRCPT TO:<b@one.example>\r\nDATA\r\n");
    for (let n = 0; n < 4; n += 1) expect((await client.reply())[0]).toMatch(/^[23]/);
    expect(packets).toHaveLength(1);
    client.destroy();
  });

  test("carry one enhanced status code each, ours or the library's", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const lines = [
      "NOOP",
      "FOO",
      "MAIL FROM:<x>",
      "MAIL FROM:<app@other.example>",
      "MAIL FROM:<app@customer.example> X=1",
    ];
    house.world.state = "active";
    for (const line of [
      ...lines,
      "MAIL FROM:<app@customer.example>",
      "RCPT TO:<>",
      "RCPT TO:<a@one.example>",
      "RSET",
      "QUIT",
    ]) {
      const answer = await client.command(line);
      expect(answer, line).toMatch(/^(\d)\d\d \1\.\d{1,3}\.\d{1,3} (?!\d\.\d)/);
    }
  });

  test("no byte of a client gets into one as it came", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const answer = await client.command("MAIL FROM:<app@customer.example> <SCRIPT>\u0085EVIL=1");
    expect(answer).toBe("555 5.5.4 Parameter not recognized");
    client.destroy();
  });
});

describe("a connection that breaks", () => {
  test("in the middle of a transaction or a message neither crashes the server nor leaves a part behind", async () => {
    const house = await startHouse({ config: { maxMessageBytes: 30_000_000 } });
    const inTransaction = await ready(house.submission.ports.submission);
    await inTransaction.command("MAIL FROM:<app@customer.example>");
    inTransaction.reset();

    const inData = await ready(house.submission.ports.submission);
    for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
      await inData.command(line);
    inData.write(`From: app@customer.example\r\n\r\n${"x".repeat(70)}\r\n`.repeat(40_000));
    await eventually(() => expect(house.staged.size).toBe(1));
    inData.reset();
    await eventually(() => expect(house.staged.size).toBe(0));

    await eventually(async () => expect((await house.metrics.connections.get()).values[0]?.value).toBe(0));
    const next = await ready(house.submission.ports.submission);
    expect(await send(next, "From: app@customer.example\r\n\r\nx")).toMatch(/^250 /);
    expect(house.accepted).toHaveLength(1);
    expect(house.lines.some((line) => line.event === "session.error")).toBe(true);
    next.destroy();
  });

  test("after the final dot loses nothing: the message is accepted", async () => {
    const house = await startHouse();
    let release = () => {};
    house.world.hold = new Promise((resolve) => {
      release = resolve;
    });
    const client = await ready(house.submission.ports.submission);
    for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
      await client.command(line);
    client.write("From: app@customer.example\r\n\r\nx\r\n.\r\n");
    await eventually(() => expect(house.reservations).toHaveLength(1));
    client.reset();
    release();
    await eventually(() => expect(house.accepted).toHaveLength(1));
  });
});

describe("the envelope", () => {
  test("is ours: domains as A-labels, a repeated recipient once with its last parameters", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const lines = [
      "MAIL FROM:<App@Customer.Example> RET=HDRS ENVID=QQ+2B1",
      "RCPT TO:<x@Bücher.example> NOTIFY=NEVER",
      "RCPT TO:<X@xn--bcher-kva.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@xn--bcher-kva.example",
      "DATA",
    ];
    for (const line of lines) expect(await client.command(line), line).toMatch(/^[23]/);
    expect(
      await client.command("From: app@customer.example\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n."),
    ).toMatch(/^250/);
    expect(house.accepted[0]).toMatchObject({
      sender: "App@customer.example",
      units: 1,
      ret: "HDRS",
      envelopeId: "QQ+1",
      subject: "Grüße",
      headerFrom: "app@customer.example",
      recipients: [
        {
          address: "X@xn--bcher-kva.example",
          notify: "SUCCESS,DELAY",
          originalRecipient: "rfc822;x@xn--bcher-kva.example",
        },
      ],
      bodyParts: 1,
    });
    client.destroy();
  });

  test("is not mixed up with the next one, however slow acceptance is", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const message = (to: string) =>
      `MAIL FROM:<app@customer.example>\r\nRCPT TO:<${to}>\r\nDATA\r\nFrom: app@customer.example\r\n\r\nx\r\n.\r\n`;
    client.write(message("a@one.example") + message("b@two.example"));
    for (let n = 0; n < 8; n += 1) expect((await client.reply())[0]).toMatch(/^[23]/);
    expect(house.accepted.map(({ recipients }) => recipients[0]?.address)).toEqual(["a@one.example", "b@two.example"]);
    client.destroy();
  });
});

describe("the end of DATA", () => {
  test("is CRLF.CRLF only: nothing is smuggled in behind another line end", async () => {
    for (const end of ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\n.\r"]) {
      const house = await startHouse();
      const client = await ready(house.submission.ports.submission);
      const text = `From: app@customer.example\r\n\r\nfirst${end}MAIL FROM:<app@customer.example>${end}RCPT TO:<evil@two.example>\r\n`;
      expect(await send(client, text)).toMatch(/^250/);
      expect(await client.command("NOOP")).toMatch(/^250/);
      expect(house.accepted).toHaveLength(1);
      const [message] = house.accepted;
      expect(message?.recipients.map(({ address }) => address)).toEqual(["a@one.example"]);
      const body = stored(house, message!).toString("latin1");
      expect(body).toContain("evil@two.example");
      expect(body.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
      client.destroy();
    }
  });

  test("a NUL in the message is refused", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    expect(await send(client, "From: app@customer.example\r\n\r\na\0b")).toMatch(
      /^550 5\.6\.0 The message contains a NUL/,
    );
    expect(await send(client, "From: app@customer.example\r\nX\0: y\r\n\r\nb")).toMatch(/^550 5\.6\.0/);
    expect(house.accepted).toHaveLength(0);
    client.destroy();
  });

  test("a mail loop and a header without an end are refused", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    const hops = "Received: from x by y\r\n".repeat(101);
    expect(await send(client, `${hops}From: app@customer.example\r\n\r\nx`)).toMatch(/^554 5\.4\.6 /);
    expect(await send(client, `From: app@customer.example\r\n${"X-Long: y\r\n".repeat(30_000)}\r\nx`)).toMatch(
      /^552 5\.3\.4 /,
    );
    expect(house.accepted).toHaveLength(0);
    client.destroy();
  });
});
