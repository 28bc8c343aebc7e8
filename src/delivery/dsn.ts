/**
 * The report that tells a sender what became of his message: multipart/report (RFC 6522) with message/delivery-status
 * (RFC 3464), in its UTF-8 forms (RFC 6533) only where the sender's own address needs them. Pure.
 *
 * Invariant: null sender, to the envelope sender alone; all of it is 7-bit unless the original, returned whole, is not.
 */
import { needsUtf8 } from "../mail/address.ts";
import { messageDate } from "../mail/date.ts";
import { formatId, type MessageId } from "../platform/ids.ts";
import { type Outgoing, SANDBOX_ROUTE, type Task } from "../spool/message.ts";
import { ascii, asciiAddress, fold, isEightBit, MAX_LINE, mimePart, oneLine } from "./mime-part.ts";

export type DsnRecipient = Readonly<{
  address: string;
  originalRecipient: string | null;
  action: "failed" | "relayed";
  status: string; // enhanced status code
  remote: string | null;
  /** What the remote host answered; null: it did not. */
  diagnostic: string | null;
  /** For people. */
  reason: string;
}>;

export type Report = Readonly<{
  id: MessageId;
  now: Date;
  hostname: string;
  task: Task;
  recipients: readonly DsnRecipient[];
  /** The original, whole or at least its header. */
  original: Uint8Array;
  /** Whether `original` is all of it. */
  whole: boolean;
}>;

export function composeDsn(report: Report): Outgoing {
  const { id, task } = report;
  const utf8 = needsUtf8(task.sender);
  const original = Buffer.from(report.original.buffer, report.original.byteOffset, report.original.byteLength);
  const returned = returnedPart(report, original, utf8);
  const boundary = boundaryFor(id, original);
  const parts = [textPart(report), statusPart(report, utf8), returned];
  const bytes = Buffer.concat([
    Buffer.from(header(report, boundary, utf8, parts.some(isEightBit))),
    ...parts.flatMap((part) => [Buffer.from(`--${boundary}\r\n`), part, Buffer.from("\r\n")]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
  const { masterId, subaccountId, sender } = task;
  const sandbox = task.route === SANDBOX_ROUTE ? { sandbox: true as const } : {};
  const to = { sender: "", recipients: [sender] };
  return { id, kind: "dsn", masterId, subaccountId, ...to, bytes, smtpUtf8: utf8, ...sandbox };
}

const failures = ({ recipients }: Report) => recipients.some(({ action }) => action === "failed");

function header(report: Report, boundary: string, utf8: boolean, eightBit: boolean): string {
  const { id, now, hostname, task } = report;
  const subject = failures(report) ? "Undelivered mail returned to sender" : "Mail was passed on";
  const type = utf8 ? "global-delivery-status" : "delivery-status";
  return [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${task.sender}>`,
    `Subject: ${subject}`,
    `Date: ${messageDate(now)}`,
    `Message-ID: <${formatId("msg", id)}@${hostname}>`,
    "Auto-Submitted: auto-replied",
    "MIME-Version: 1.0",
    ...(eightBit ? ["Content-Transfer-Encoding: 8bit"] : []),
    `Content-Type: multipart/report; report-type=${type};\r\n boundary="${boundary}"`,
    "\r\n",
  ].join("\r\n");
}

function textPart(report: Report): Buffer {
  const { hostname, task } = report;
  const opening = failures(report)
    ? "Your message could not be delivered to the recipients below, and will not be tried again."
    : "Your message was passed on to a server that does not report further.";
  const lines = [`This is the mail system at ${hostname}.`, "", opening, ""];
  for (const { address, reason, remote, action } of report.recipients) {
    const by = remote === null ? "" : ` ${oneLine(remote)} said:`;
    lines.push(`<${address}>: ${action === "failed" ? "failed." : "passed on."}${by} ${reason}`, "");
  }
  lines.push(`The message was accepted at ${messageDate(task.acceptedAt)} as ${formatId("msg", task.id)}.`, "");
  return mimePart("text/plain; charset=utf-8", Buffer.from(lines.join("\r\n")), "encode");
}

function statusPart({ hostname, task, recipients, now }: Report, utf8: boolean): Buffer {
  const address = (value: string) => typedAddress(value, utf8);
  const groups = [
    [
      `Reporting-MTA: dns; ${hostname}`,
      ...(task.envelopeId === null ? [] : [`Original-Envelope-Id: ${oneLine(task.envelopeId)}`]),
      `X-Postmeter-Message: ${formatId("msg", task.id)}`,
      `Arrival-Date: ${messageDate(task.acceptedAt)}`,
    ],
    ...recipients.map(({ address: recipient, originalRecipient, action, status, remote, diagnostic }) => [
      ...originalRecipientField(originalRecipient, utf8),
      `Final-Recipient: ${address(recipient)}`,
      `Action: ${action}`,
      `Status: ${status}`,
      ...(remote === null ? [] : [`Remote-MTA: dns; ${oneLine(remote)}`]),
      ...(diagnostic === null ? [] : [diagnosticField(diagnostic, utf8)]),
      `Last-Attempt-Date: ${messageDate(now)}`,
    ]),
  ];
  const text = groups.map((fields) => `${fields.map(fold).join("\r\n")}\r\n`).join("\r\n");
  const type = utf8 ? "message/global-delivery-status" : "message/delivery-status";
  return mimePart(type, Buffer.from(text), "as it is");
}

/** The header, or with RET=FULL after a failure the whole message. */
function returnedPart(report: Report, original: Buffer, utf8: boolean): Buffer {
  if (report.whole && report.task.ret === "FULL" && failures(report)) {
    const global = report.task.smtpUtf8 && isEightBit(headOf(original));
    return mimePart(global ? "message/global" : "message/rfc822", original, "as it is");
  }
  const head = headOf(original);
  if (utf8 && isEightBit(head)) return mimePart("message/global-headers", head, "as it is");
  return mimePart("text/rfc822-headers; charset=utf-8", head, "encode");
}

/** `type; address`, as RFC 3464 2.3.1 wants it. */
function typedAddress(address: string, utf8: boolean): string {
  if (!needsUtf8(address)) return `rfc822; ${oneLine(address)}`;
  return `utf-8; ${utf8 ? oneLine(address) : asciiAddress(address)}`;
}

/** ORCPT is kept as `type;address`. Written in ASCII it may be longer than a line may be: then it is left out. */
function originalRecipientField(value: string | null, utf8: boolean): string[] {
  if (value === null) return [];
  const [, type = "rfc822", address = ""] = /^(?:([^;]*);)?(.*)$/s.exec(value) ?? [];
  const field = `Original-Recipient: ${ascii(type)}; ${utf8 ? oneLine(address) : asciiAddress(address)}`.trimEnd();
  return Buffer.byteLength(field) > MAX_LINE ? [] : [field];
}

function diagnosticField(diagnostic: string, utf8: boolean): string {
  const field = `Diagnostic-Code: smtp; ${oneLine(diagnostic)}`;
  return utf8 && Buffer.byteLength(field) <= MAX_LINE ? field : ascii(field);
}

/** Can't occur in the original; quoted-printable never has `=_`. */
function boundaryFor(id: MessageId, original: Buffer): string {
  let boundary = `=_${id}`;
  while (original.includes(boundary)) boundary += "_";
  return boundary;
}

function headOf(message: Buffer): Buffer {
  const end = message.indexOf("\r\n\r\n");
  return end === -1 ? message : message.subarray(0, end + 2);
}
