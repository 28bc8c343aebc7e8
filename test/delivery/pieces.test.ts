/** How a reply is cut into packets says nothing: byte by byte, or in two at any place, it means what it means in one. */
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { everything, type Script } from "../support/upstream.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { openHouse, shortOf } from "./house.ts";

let certificate: Certificate;
beforeAll(async () => {
  certificate = await makeCertificate("127.0.0.1", "localhost");
});
afterEach(() => {
  vi.restoreAllMocks();
});

type Cut = NonNullable<Script["pieces"]>;
const byBytes: Cut = (reply) => [...reply];
const inTwo =
  (at: number): Cut =>
  (reply) =>
    at < reply.length ? [reply.slice(0, at), reply.slice(at)] : [reply];

const rcpt = (line: string) => {
  if (line.includes("<nobody@")) return "550-5.1.1 unknown\n550 5.1.1 here";
  return line.includes("<busy@") ? "450 4.2.1 busy" : undefined;
};
const scripts: Readonly<Record<string, Script>> = {
  "that pipelines": { rcpt, end: () => "250-2.0.0 Queued\n250-2.0.0 as\n250 2.0.0 4711" },
  "that takes one command at a time": { rcpt, extensions: ["8BITMIME"], end: () => "250 2.0.0 Queued" },
  "that refuses DATA": { rcpt, data: () => "554-5.7.1 No\n554 5.7.1 not this" },
  "that refuses the message": { rcpt, end: () => "554 5.6.0 spam" },
  "that says no at MAIL": { mail: () => "451-4.3.0 Later\n451 4.3.0 much" },
};

/** What became of two messages, one behind the other, and what the peer heard. */
async function play(script: Script, pieces?: Cut) {
  const house = await openHouse({
    script: {
      ...script,
      extensions: [...(script.extensions ?? everything), "AUTH PLAIN"],
      certificate,
      ...(pieces && { pieces }),
    },
    url: "smtp://user:secretword@127.0.0.1:PORT",
    tuning: { ca: certificate.cert },
  });
  const to = ["ann@x.example", "nobody@x.example", "busy@x.example"];
  const fates = [shortOf(await house.deliver({ to })), shortOf(await house.deliver({ to: ["bob@x.example"] }))];
  const { commands, received } = house.upstream;
  await house.delivery.drain(0);
  return { fates, commands: [...commands], received: received.map(({ rcpt, bytes }) => [rcpt, bytes.toString()]) };
}

test.each(Object.entries(scripts))("replies of a peer %s mean the same byte by byte", async (_, script) => {
  expect(await play(script, byBytes)).toEqual(await play(script));
});

test("and cut in two at any place", async () => {
  const script = scripts["that pipelines"]!;
  const whole = await play(script);
  const cuts = Array.from({ length: 48 }, (_, n) => play(script, inTwo(n + 1)));
  for (const cut of await Promise.all(cuts)) expect(cut).toEqual(whole);
});

test("control: a client that forgets the beginning of a line whose end is not there yet is found", async () => {
  type Reader = { _onData(chunk: Buffer): void; _remainder: string };
  const reader = SMTPConnection.prototype as unknown as Reader;
  const read = reader._onData;
  const script = scripts["that refuses the message"]!;
  const whole = await play(script);
  vi.spyOn(reader, "_onData").mockImplementation(function (this: Reader, chunk) {
    this._remainder = "";
    read.call(this, chunk);
  });
  expect(await play(script)).toEqual(whole);
  expect(await play(script, inTwo(3))).not.toEqual(whole);
});
