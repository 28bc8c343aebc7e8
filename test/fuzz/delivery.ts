/** What leaves: commands, reports, and what peers reply; and routes, which hold passwords. */
import fc from "fast-check";
import { expect } from "vitest";
import { composeDsn, type DsnRecipient } from "../../src/delivery/dsn.ts";
import { envelopeCommands, xtext } from "../../src/delivery/envelope.ts";
import { decideFailure, parseReply, plain } from "../../src/delivery/outcome.ts";
import { parseRoute } from "../../src/delivery/route.ts";
import { createStuffing } from "../../src/delivery/stuffing.ts";
import { parseAddress } from "../../src/mail/address.ts";
import { readMailParameters, readRcptParameters } from "../../src/mail/envelope.ts";
import { Fault } from "../../src/platform/errors.ts";
import { type MessageId, newId } from "../../src/platform/ids.ts";
import { makeTask } from "../delivery/played-spool.ts";
import { nastyText } from "./texts.ts";

const known = ["a@b.example", "ü@b.example", '"a b"@c.example', `${"😀".repeat(55)}@c.example`, "x@[192.0.2.1]"];
const address = fc.oneof(
  fc.constantFrom(...known),
  nastyText(80).map((text) => parseAddress(text) ?? "a@b.example"),
);
/** As the door lets them in. */
const envelopeId = nastyText(100).map((ENVID) => {
  const read = readMailParameters({ ENVID });
  return read.kind === "read" ? read.value.envelopeId : null;
});
const originalRecipient = fc
  .tuple(fc.constantFrom("rfc822;", "utf-8;", "UTF-8;", "x-400;", ""), nastyText(600))
  .map(([type, text]) => {
    const read = readRcptParameters({ ORCPT: type + text.replace(/\p{Cc}/gu, "") });
    return read.kind === "read" ? read.value.originalRecipient : null;
  });

const task = fc
  .record({
    sender: address,
    envelopeId,
    ret: fc.constantFrom("FULL" as const, "HDRS" as const, null),
    smtpUtf8: fc.boolean(),
    eightBit: fc.boolean(),
    recipients: fc.array(
      fc.record({
        n: fc.nat(9),
        address,
        originalRecipient,
        notify: fc.constantFrom(null, "NEVER", "SUCCESS,FAILURE"),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map((given) => makeTask(given));

const told: fc.Arbitrary<DsnRecipient> = fc.record({
  address,
  originalRecipient,
  action: fc.constantFrom("failed" as const, "relayed" as const),
  status: fc.constantFrom("5.1.1", "4.4.7"),
  remote: fc.option(nastyText(200)),
  diagnostic: fc.option(nastyText(600).map((raw) => `550 ${plain(raw)}`)),
  reason: nastyText(600).map(plain),
});

/** A message as it is stored. */
const original = nastyText(3000).map((text) =>
  Buffer.from(`Subject: x\r\n${text.replaceAll("\0", "").replace(/\r\n?|\n/g, "\r\n")}\r\n`),
);

const stored = fc.tuple(original, fc.array(fc.nat(3000), { maxLength: 6 })).map(([bytes, places]) => {
  const at = [...new Set(places.map((place) => Math.min(place, bytes.length)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
});

const peer = fc.record({
  host: fc.constant("mx.example"),
  pipelining: fc.boolean(),
  dsn: fc.boolean(),
  eightBit: fc.boolean(),
  utf8: fc.boolean(),
  size: fc.boolean(),
  maxBytes: fc.constant(0),
});

const secret = fc.stringMatching(/^[A-Za-z0-9?#/@:&=%+]{10,24}$/);
/** Where a password may end up when it was not encoded. */
const routeText = fc.oneof(
  nastyText(200).map((text) => ({ text, secret: undefined })),
  fc
    .tuple(secret, fc.constantFrom("smtp", "smtps", "mx", "capture"), nastyText(30))
    .map(([secret, scheme, rest]) => ({ text: `${scheme}://user:${secret}@mail.example${rest}`, secret })),
);

export const deliveryProperties = {
  "the commands of a transaction are single lines of bounded length": fc.property(task, peer, (given, offered) => {
    const commands = envelopeCommands(given, given.recipients, offered);
    expect(commands).toHaveLength(given.recipients.length + 2);
    for (const command of commands) {
      expect(command).not.toMatch(/\p{Cc}/u);
      expect(Buffer.byteLength(command)).toBeLessThanOrEqual(1000);
      if (!offered.utf8) expect(command.replace(/<.*?>/, "")).not.toMatch(/[^ -~]/);
    }
  }),
  "xtext is printable and decodes to what it was": fc.property(nastyText(), (text) => {
    fc.pre(text.isWellFormed());
    const encoded = xtext(text);
    expect(encoded).toMatch(/^[!-<>-~]*$/);
    const bytes = encoded.replace(/\+([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
    expect(Buffer.from(bytes, "latin1").toString()).toBe(text);
  }),
  "a report is well-formed whatever was sent and said": fc.property(
    task,
    fc.array(told, { minLength: 1, maxLength: 3 }),
    original,
    fc.boolean(),
    (given, recipients, bytes, whole) => {
      const id = newId<MessageId>({ offsetMs: 0, now: () => new Date() });
      const dsn = composeDsn({
        id,
        now: new Date(),
        hostname: "relay.example",
        task: given,
        recipients,
        original: bytes,
        whole,
      });
      expect(dsn).toMatchObject({ sender: "", recipients: [given.sender] });
      const text = Buffer.from(dsn.bytes).toString("latin1");
      expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n\0]/);
      const [head = "", ...parts] = text.split(/\r\n\r\n/);
      expect(head.match(/^[\w-]+(?=:)/gm)).toEqual(
        expect.arrayContaining(["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]),
      );
      expect(head).not.toMatch(/^(bcc|return-path|sender):/im);
      const boundary = /boundary="([^"]+)"/.exec(head)?.[1] as string;
      expect(text.split(`\r\n--${boundary}`)).toHaveLength(5); // three parts, their end, and what stands before them
      expect(parts.length).toBeGreaterThan(3);
      const status = text.split(`--${boundary}`)[2] as string;
      expect(status.match(/^Final-Recipient:/gm)).toHaveLength(recipients.length);
      for (const line of status.split("\r\n")) {
        expect(line).not.toMatch(/^[ \t]+$/);
        expect(Buffer.byteLength(line, "latin1")).toBeLessThanOrEqual(998);
      }
    },
  ),
  "a reply is read into one bounded line, and never throws": fc.property(nastyText(2000), (raw) => {
    const { code, text } = parseReply(raw);
    expect(code === 0 || (code >= 200 && code <= 599)).toBe(true);
    expect(text.length).toBeLessThanOrEqual(500);
    expect(text).not.toMatch(/\p{Cc}/u);
    expect(text.isWellFormed()).toBe(true);
    expect(decideFailure({ why: "greeting", text: raw, reply: raw }).kind).toBe("deferred");
  }),
  "dots are stuffed however the message is cut, so that nothing in it ends it": fc.property(stored, (chunks) => {
    const stuffing = createStuffing();
    const pieces = chunks.flatMap((chunk) => [...stuffing.add(chunk)]);
    const sent = Buffer.concat(pieces).toString("latin1");
    const end = stuffing.end();
    expect(`\r\n${sent}`).not.toMatch(/\n\.(\r|\n|$)/);
    expect((sent + end).endsWith("\r\n.\r\n") || sent === "").toBe(true);
    const back = sent.replace(/(^|\n)\./g, "$1");
    expect(back).toBe(Buffer.concat(chunks).toString("latin1"));
  }),
  "a route is read, or refused by a text that holds no password": fc.property(routeText, ({ text, secret }) => {
    try {
      const route = parseRoute(text);
      if (route.kind !== "smtp" || secret === undefined) return;
      expect(route.name).not.toContain(secret);
      if (route.credentials !== null) expect(["implicit", "required"]).toContain(route.tls);
    } catch (error) {
      expect(error).toBeInstanceOf(Fault);
      if (secret === undefined) return;
      for (let at = 0; at + 8 <= secret.length; at++) expect(String(error)).not.toContain(secret.slice(at, at + 8));
    }
  }),
};
