/** What stands on the wire: commands, parameters, bytes, and how many writes it took. */
import net from "node:net";
import { expect, test } from "vitest";
import { everything } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";
import { makeTask } from "./played-spool.ts";

const mailOf = (commands: readonly string[]) => commands.filter((line) => /^(MAIL|RCPT)/.test(line));

test("the null sender goes out as <>", async () => {
  const house = await openHouse({ script: { extensions: ["PIPELINING"] } });
  await house.deliver({ sender: "" });
  expect(mailOf(house.upstream.commands)[0]).toBe("MAIL FROM:<>");
});

test("size, body type and UTF-8 are declared where the peer offers them, and only then", async () => {
  const able = await openHouse();
  await able.deliver({ eightBit: true, smtpUtf8: true, sizeBytes: 1234 });
  expect(mailOf(able.upstream.commands)[0]).toBe("MAIL FROM:<alice@sender.example> SIZE=1234 BODY=8BITMIME SMTPUTF8");
  const old = await openHouse({ script: { extensions: [] } });
  await old.deliver({ eightBit: true, smtpUtf8: true, sizeBytes: 1234 });
  expect(mailOf(old.upstream.commands)[0]).toBe("MAIL FROM:<alice@sender.example>");
});

const asked = {
  envelopeId: "id+1 =",
  ret: "HDRS" as const,
  recipients: [
    { n: 0, address: "a@x.example", originalRecipient: "rfc822;old+tag@x.example", notify: "SUCCESS,DELAY" },
    { n: 1, address: "b@x.example", originalRecipient: null, notify: "NEVER" },
    { n: 2, address: "c@x.example", originalRecipient: null, notify: null },
    { n: 3, address: "d@x.example", originalRecipient: "utf-8;jürgen@x.example", notify: null },
  ],
};

test("DSN parameters go per recipient to a peer that offers DSN, in xtext", async () => {
  const house = await openHouse({ script: { extensions: ["PIPELINING", "DSN"] } });
  await house.deliver(asked);
  expect(mailOf(house.upstream.commands)).toEqual([
    "MAIL FROM:<alice@sender.example> RET=HDRS ENVID=id+2B1+20+3D",
    "RCPT TO:<a@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+2Btag@x.example",
    "RCPT TO:<b@x.example> NOTIFY=NEVER",
    "RCPT TO:<c@x.example>",
    "RCPT TO:<d@x.example> ORCPT=utf-8;j\\x{FC}rgen@x.example",
  ]);
});

test("DSN parameters do not go to a peer without DSN", async () => {
  const house = await openHouse({ script: { extensions: ["PIPELINING"] } });
  await house.deliver(asked);
  expect(mailOf(house.upstream.commands).join()).not.toMatch(/NOTIFY|ORCPT|RET|ENVID/);
});

test("8-bit content to a peer without 8BITMIME bounces at once with a report; the same flag on 7-bit content delivers", async () => {
  const house = await openHouse({ script: { extensions: ["PIPELINING"] } });
  const bounced = await house.deliver({ eightBit: true, bytes: [Buffer.from("Subject: x\r\n\r\nGrüße\r\n")] });
  expect(shortOf(bounced)).toEqual(["bounced 5.6.3"]);
  expect(bounced.dsn).not.toBeNull();
  expect(shortOf(await house.deliver({ eightBit: true }))).toEqual(["delivered 250 2.0.0"]);
});

test("of several recipients only the one with a UTF-8 address bounces at a peer without SMTPUTF8", async () => {
  const house = await openHouse({ script: { extensions: ["PIPELINING", "8BITMIME"] } });
  const result = await house.deliver({ smtpUtf8: true, to: ["jürgen@x.example", "bob@x.example"] });
  expect(result.recipients.map(({ n, state }) => [n, state]).sort()).toEqual([
    [0, "bounced"],
    [1, "delivered"],
  ]);
});

test("a message larger than the peer takes is not sent", async () => {
  const house = await openHouse({ script: { extensions: ["SIZE 1000"] } });
  expect(shortOf(await house.deliver({ sizeBytes: 1001 }))).toEqual(["bounced 5.3.4"]);
  expect(mailOf(house.upstream.commands)).toEqual([]);
});

test("the bytes arrive as they were stored, dots and all", async () => {
  const text = ["Subject: dots", "", ".", "..", ".leading", "end.", "\u00e4", ""].join("\r\n");
  const bytes = Buffer.from(text);
  const house = await openHouse();
  await house.deliver({ bytes: [bytes.subarray(0, 17), bytes.subarray(17, 18), bytes.subarray(18)] });
  expect(house.upstream.received[0]?.bytes.toString()).toBe(text);
});

test("a large message is streamed part by part and arrives whole", async () => {
  const parts = Array.from({ length: 24 }, (_, i) =>
    Buffer.concat([Buffer.alloc(1024 * 1024 - 2, 97 + i), Buffer.from("\r\n")]),
  );
  const house = await openHouse();
  const sizeBytes = 24 * 1024 * 1024;
  const result = await house.deliver({ bytes: null, bodyParts: 24, sizeBytes, parts });
  expect(shortOf(result)).toEqual(["delivered 250 2.0.0"]);
  expect(house.upstream.received[0]?.bytes.equals(Buffer.concat(parts))).toBe(true);
});

test("a body that can't be read to its end is never ended by a dot", async () => {
  const house = await openHouse();
  house.spool.readBody = async function* () {
    yield Buffer.from("Subject: half\r\n\r\n");
    throw new Error("the database is away");
  };
  const result = await house.deliver({ bytes: null, sizeBytes: 1000 });
  expect(shortOf(result)).toEqual(["deferred 4.3.0"]);
  expect(house.upstream.received).toHaveLength(0);
  expect(result.recipients[0]?.attempt.indeterminate).toBeUndefined();
});

/** Answers all complete lines of a piece at once; `inData` goes on to the next piece. */
function answersTo(text: string, inData: boolean, pipelining: boolean): { answers: string[]; inData: boolean } {
  const answers: string[] = [];
  let data = inData;
  for (const line of text.split("\r\n").slice(0, -1)) {
    if (data) {
      if (line === ".") answers.push("250 queued");
      data = line !== ".";
    } else {
      data = line === "DATA";
      const greeted = pipelining ? "250-me\r\n250 PIPELINING" : "250 me";
      answers.push(data ? "354 go" : line.startsWith("EHLO") ? greeted : "250 ok");
    }
  }
  return { answers, inData: data };
}

/** A peer that keeps in how many pieces it got what. */
async function countPieces(pipelining: boolean): Promise<{ port: number; pieces: string[]; close: () => void }> {
  const pieces: string[] = [];
  const server = net.createServer((socket) => {
    let inData = false;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.write("220 counting\r\n");
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      const body = text.replace(/^[\s\S]*\r\n\.\r\n/, "BODY ");
      pieces.push(body.replace(/(EHLO|MAIL|RCPT|DATA|QUIT)[^\r]*\r\n/g, "$1 ").trim());
      const said = answersTo(text, inData, pipelining);
      inData = said.inData;
      if (said.answers.length > 0) socket.write(`${said.answers.join("\r\n")}\r\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return { port: (server.address() as net.AddressInfo).port, pieces, close: () => server.close() };
}

test("to a peer that pipelines an envelope is one write, and the next one travels with the body", async () => {
  const peer = await countPieces(true);
  const house = await openHouse({ url: `smtp://127.0.0.1:${peer.port}?connections=1` });
  for (let i = 0; i < 3; i += 1) house.push();
  await house.spool.settled(3);
  expect(peer.pieces).toEqual(["EHLO", "MAIL RCPT DATA", "BODY MAIL RCPT DATA", "BODY MAIL RCPT DATA", "BODY"]);
  peer.close();
});

test("to a peer that does not pipeline each command waits for its answer", async () => {
  const peer = await countPieces(false);
  const house = await openHouse({ url: `smtp://127.0.0.1:${peer.port}?connections=1` });
  house.push();
  house.push();
  await house.spool.settled(2);
  const one = ["MAIL", "RCPT", "DATA", "BODY"];
  expect(peer.pieces).toEqual(["EHLO", ...one, ...one]);
  peer.close();
});

test("a connection that dies with an envelope ahead delivers that one elsewhere, and tries nothing twice", async () => {
  const house = await openHouse({
    script: { extensions: everything, end: (_message, n) => (n === 0 ? "421 4.3.2 closing" : undefined) },
    url: "smtp://127.0.0.1:PORT?connections=1",
  });
  const [first, second] = [house.push(), house.push()];
  await house.spool.settled(2);
  expect(shortOf(house.spool.resultOf(first) as never)).toEqual(["deferred 421 4.3.2"]);
  expect(shortOf(house.spool.resultOf(second) as never)).toEqual(["delivered 250 2.0.0"]);
  expect(house.upstream.received).toHaveLength(1);
});

test("an address can't bring a command with it", async () => {
  const house = await openHouse();
  const task = makeTask();
  await house.deliver({ ...task, recipients: [{ ...task.recipients[0], address: "a@x.example>\r\nRSET" } as never] });
  expect(house.upstream.commands).not.toContain("RSET");
});
