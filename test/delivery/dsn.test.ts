/** Reports, read back by another's parser. */
import { type Attachment, type SimpleParserOptions, simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { composeDsn, type DsnRecipient, type Report } from "../../src/delivery/dsn.ts";
import { createClock } from "../../src/platform/clock.ts";
import { formatId, type MessageId, newId } from "../../src/platform/ids.ts";
import { makeTask } from "./played-spool.ts";

const original = Buffer.from(
  "From: Alice <alice@sender.example>\r\nTo: bob@x.example\r\nSubject: Lunch\r\n\r\nAt noon.\r\nFrom here.\r\n",
);

const failed: DsnRecipient = {
  address: "bob@x.example",
  originalRecipient: null,
  action: "failed",
  status: "5.1.1",
  remote: "mx.x.example",
  diagnostic: "550 5.1.1 No such user",
  reason: "No such user",
};

function makeReport(given: Partial<Report> & { task?: Report["task"] } = {}): Report {
  return {
    id: newId<MessageId>(createClock()),
    now: new Date("2026-11-22T12:30:00Z"),
    hostname: "relay.example",
    task: makeTask({ acceptedAt: new Date("2026-11-22T12:00:00Z") }),
    recipients: [failed],
    original,
    whole: false,
    ...given,
  };
}

async function read(report: Report) {
  const dsn = composeDsn(report);
  const bytes = Buffer.from(dsn.bytes);
  const mail = await simpleParser(bytes, { keepDeliveryStatus: true } as SimpleParserOptions);
  const part = (type: string) => mail.attachments.find(({ contentType }) => contentType === type) as Attachment;
  const text = (type: string) => part(type)?.content.toString("utf8").replace(/\r\n /g, " ");
  return { dsn, bytes, mail, text, types: mail.attachments.map(({ contentType }) => contentType) };
}

/** Groups of fields, by lower-case name. */
function fieldsOf(status: string): Record<string, string>[] {
  return status
    .trim()
    .split(/\r?\n\r?\n/)
    .map((group) =>
      Object.fromEntries(
        group.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
      ),
    );
}

test("a report goes from nobody to the envelope sender, of the account it reports to", async () => {
  const report = makeReport();
  const { dsn, mail } = await read(report);
  const { masterId, subaccountId, sender } = report.task;
  expect(dsn).toMatchObject({ kind: "dsn", sender: "", recipients: [sender], masterId, subaccountId, smtpUtf8: false });
  expect(mail.headers.get("auto-submitted")).toBe("auto-replied");
  expect(mail.from?.value[0]?.address).toBe("MAILER-DAEMON@relay.example");
  expect(mail.messageId).toBe(`<${formatId("msg", report.id)}@relay.example>`);
});

test("it is a multipart/report of text, delivery-status and the header of the original", async () => {
  const { mail, types, text, bytes } = await read(makeReport());
  expect(mail.headers.get("content-type")).toMatchObject({
    value: "multipart/report",
    params: { "report-type": "delivery-status" },
  });
  expect(mail.text).toContain("<bob@x.example>: failed. mx.x.example said: No such user");
  expect(types).toEqual(["message/delivery-status", "text/rfc822-headers"]);
  expect(text("text/rfc822-headers").trim()).toBe(original.toString().split("\r\n\r\n")[0]);
  expect(bytes.toString("latin1")).not.toContain("At noon");
});

test("the status holds what RFC 3464 asks for, and ENVID and ORCPT as they were given", async () => {
  const task = makeTask({ envelopeId: "order 7", acceptedAt: new Date("2026-11-22T12:00:00Z") });
  const relayed: DsnRecipient = { ...failed, address: "carol@y.example", action: "relayed", status: "2.0.0" };
  const recipients = [
    { ...failed, originalRecipient: "rfc822;bobby@x.example" },
    { ...relayed, diagnostic: null },
  ];
  const { text } = await read(makeReport({ task, recipients }));
  expect(fieldsOf(text("message/delivery-status"))).toEqual([
    {
      "Reporting-MTA": "dns; relay.example",
      "Original-Envelope-Id": "order 7",
      "X-Postmeter-Message": formatId("msg", task.id),
      "Arrival-Date": "Sun, 22 Nov 2026 12:00:00 +0000",
    },
    {
      "Original-Recipient": "rfc822; bobby@x.example",
      "Final-Recipient": "rfc822; bob@x.example",
      Action: "failed",
      Status: "5.1.1",
      "Remote-MTA": "dns; mx.x.example",
      "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
      "Last-Attempt-Date": "Sun, 22 Nov 2026 12:30:00 +0000",
    },
    {
      "Final-Recipient": "rfc822; carol@y.example",
      Action: "relayed",
      Status: "2.0.0",
      "Remote-MTA": "dns; mx.x.example",
      "Last-Attempt-Date": "Sun, 22 Nov 2026 12:30:00 +0000",
    },
  ]);
});

describe("RET", () => {
  test("FULL returns the whole message after a failure", async () => {
    const { types, text } = await read(makeReport({ task: makeTask({ ret: "FULL" }), whole: true }));
    expect(types).toEqual(["message/delivery-status", "message/rfc822"]);
    expect(text("message/rfc822")).toBe(original.toString());
  });

  test.each([
    ["HDRS", true],
    [null, true],
    ["FULL", false],
  ] as const)("%s (whole: %s) returns the header alone", async (ret, whole) => {
    const { types } = await read(makeReport({ task: makeTask({ ret }), whole }));
    expect(types[1]).toBe("text/rfc822-headers");
  });

  test("FULL returns the header alone when all was passed on", async () => {
    const recipients = [{ ...failed, action: "relayed" as const }];
    const { types, mail } = await read(makeReport({ task: makeTask({ ret: "FULL" }), whole: true, recipients }));
    expect(types[1]).toBe("text/rfc822-headers");
    expect(mail.subject).toBe("Mail was passed on");
  });
});

describe("UTF-8", () => {
  const utf8 = Buffer.from("From: jürgen@sender.example\r\nSubject: Grüße\r\n\r\nHallo\r\n");
  const bounced = {
    ...failed,
    address: "jürgen@x.example",
    diagnostic: "550 Nö",
    originalRecipient: "utf-8;jörg@x.example",
  };

  test("a report to an ASCII sender is 7-bit all through, with UTF-8 addresses spelled out", async () => {
    const { bytes, text, mail } = await read(makeReport({ recipients: [bounced], original: utf8 }));
    expect(bytes.some((byte) => byte > 127)).toBe(false);
    const [, fields] = fieldsOf(text("message/delivery-status"));
    expect(fields).toMatchObject({
      "Final-Recipient": "utf-8; j\\x{FC}rgen@x.example",
      "Original-Recipient": "utf-8; j\\x{F6}rg@x.example",
      "Diagnostic-Code": "smtp; 550 N?",
    });
    expect(text("text/rfc822-headers")).toContain("Subject: Grüße");
    expect(mail.text).toContain("<jürgen@x.example>");
  });

  test("a report to a UTF-8 sender uses the UTF-8 forms of RFC 6533, and says so to the spool", async () => {
    const task = makeTask({ sender: "jürgen@sender.example", smtpUtf8: true });
    const { dsn, types, text, bytes } = await read(makeReport({ task, recipients: [bounced], original: utf8 }));
    expect(dsn.smtpUtf8).toBe(true);
    expect(types).toEqual(["message/global-delivery-status", "message/global-headers"]);
    expect(fieldsOf(text("message/global-delivery-status"))[1]).toMatchObject({
      "Final-Recipient": "utf-8; jürgen@x.example",
      "Diagnostic-Code": "smtp; 550 Nö",
    });
    expect(bytes.toString()).toContain("report-type=global-delivery-status");
  });

  test("an 8-bit original that is returned whole is declared", async () => {
    const { bytes, types } = await read(makeReport({ task: makeTask({ ret: "FULL" }), whole: true, original: utf8 }));
    expect(types[1]).toBe("message/rfc822");
    expect(bytes.toString("latin1").split("\r\n\r\n")[0]).toContain("Content-Transfer-Encoding: 8bit");
  });
});

test("nothing in a reply, an ENVID or an original breaks out of its place", async () => {
  const id = newId<MessageId>(createClock());
  const nasty = Buffer.from(`Subject: x\r\nX: --=_${id}\r\n\r\n--=_${id}--\r\n`);
  const task = makeTask({ envelopeId: "a\r\nX-Evil: 1\r\n\r\n--b", ret: "FULL" });
  const recipients = [{ ...failed, diagnostic: "550 a\r\n\r\nX-Evil: 2", remote: "h\r\nX-Evil: 3" }];
  const { types, text } = await read(makeReport({ id, task, recipients, original: nasty, whole: true }));
  expect(types).toEqual(["message/delivery-status", "message/rfc822"]);
  expect(text("message/rfc822")).toBe(nasty.toString());
  const groups = fieldsOf(text("message/delivery-status"));
  expect(groups).toHaveLength(2);
  expect(groups.flatMap(Object.keys)).not.toContain("X-Evil");
});

test("every line of a report is short enough, however long the reply was", async () => {
  const recipients = [{ ...failed, diagnostic: `550 ${"word ".repeat(95)}`, reason: "x".repeat(500) }];
  const { bytes } = await read(
    makeReport({ recipients, original: Buffer.from(`Subject: ${"y".repeat(3000)}\r\n\r\n`) }),
  );
  for (const line of bytes.toString("latin1").split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
});

test("without an original the report still stands", async () => {
  const { types } = await read(makeReport({ original: new Uint8Array() }));
  expect(types).toEqual(["message/delivery-status", "text/rfc822-headers"]);
});
