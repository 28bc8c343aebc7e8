/** What the properties have found, and reading has: each stays as a case of its own. */
import { expect, test } from "vitest";
import { composeDsn } from "../../src/delivery/dsn.ts";
import { envelopeCommands } from "../../src/delivery/envelope.ts";
import { decideFailure } from "../../src/delivery/outcome.ts";
import { parseRoute } from "../../src/delivery/route.ts";
import { decodeWords } from "../../src/mail/encoded-words.ts";
import { type MessageId, newId } from "../../src/platform/ids.ts";
import { settings } from "../../src/platform/settings.ts";
import { makeTask } from "../delivery/played-spool.ts";

const originalRecipient = `rfc822;${"é".repeat(300)}`;
const recipient = { n: 0, address: "a@b.example", originalRecipient, notify: null };
const failed = { ...recipient, action: "failed", status: "5.1.1", diagnostic: null, reason: "no" } as const;
const told = { now: new Date(), hostname: "relay.example", original: Buffer.from("Subject: x\r\n"), whole: false };

function report(remote: string | null): string {
  const id = newId<MessageId>({ offsetMs: 0, now: () => new Date() });
  return Buffer.from(
    composeDsn({ ...told, id, task: makeTask(), recipients: [{ ...failed, remote }] }).bytes,
  ).toString();
}

test("an original recipient that grows too long by its encoding is left out, of commands and of reports", () => {
  const peer = { host: "h", pipelining: true, dsn: true, eightBit: true, utf8: false, size: false, maxBytes: 0 };
  expect(envelopeCommands(makeTask(), [recipient], peer)[1]).toBe("RCPT TO:<a@b.example>");
  const short = { ...recipient, originalRecipient: "rfc822;é@b.example" };
  expect(envelopeCommands(makeTask(), [short], peer)[1]).toBe("RCPT TO:<a@b.example> ORCPT=rfc822;+C3+A9@b.example");
  expect(report(null)).not.toContain("Original-Recipient");
});

test("the name of a remote host brings no line end into a report", () => {
  expect(report("mx\r.example\nx").replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
});

test("half a character is not shown", () => {
  expect(decodeWords(`${" ".repeat(159)}😀`, 10)).toBe("\ufffd");
});

test("a password that was not encoded is not repeated, and its rest is not dropped in silence", () => {
  for (const url of ["smtp://user:1?hunter2@mail.example", "smtp://user:1#hunter2@mail.example"]) {
    expect(() => parseRoute(url)).toThrow("This is no route");
    expect(() => parseRoute(url)).not.toThrow("hunter2");
  }
});

test("a host that repeats our login in its refusal is not quoted", () => {
  const reply = "535 5.7.8 no such login: AHVzZXIAaHVudGVyMg==";
  const verdict = decideFailure({ why: "auth", text: `Invalid login: ${reply}`, reply });
  expect(verdict).toMatchObject({ kind: "deferred", code: 535, text: "The next host refused our login" });
});

test("a length of time that ends beyond all dates is refused", () => {
  for (const name of ["queueLifetimeMs", "clockOffsetMs", "retentionEventsMs"] as const) {
    expect(settings[name].schema.safeParse("999999999d").success).toBe(false);
    expect(settings[name].schema.safeParse("36500d").success).toBe(true);
  }
});

test("an original recipient of type utf-8 is measured in octets", () => {
  const peer = { host: "h", pipelining: true, dsn: true, eightBit: true, utf8: true, size: false, maxBytes: 0 };
  const wide = { ...recipient, originalRecipient: `utf-8;${"日".repeat(400)}` };
  const [, rcpt] = envelopeCommands(makeTask({ smtpUtf8: true }), [wide], peer);
  expect(rcpt).toBe("RCPT TO:<a@b.example>");
});

test("a system sender holds no control characters", () => {
  expect(settings.systemFrom.schema.safeParse("\0@\0").success).toBe(false);
  expect(settings.systemFrom.schema.safeParse("alerts@relay.example").success).toBe(true);
});
