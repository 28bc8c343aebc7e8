/**
 * What a submission server reads from the header section of a message, and what it takes out (RFC 6409 section 8,
 * RFC 5322 3.6): Bcc and Return-Path go, Date and Message-ID are missed, From and Sender are claims to be checked.
 */
import { decodeWords } from "./encoded-words.ts";
import { type Field, fieldValue, scanFields } from "./headers.ts";
import { parseMailboxes } from "./mailboxes.ts";
import type { Reply } from "./reply.ts";

export type Head = Readonly<{
  kind: "head";
  /** The fields that go on, by reference; each ends in CRLF. */
  kept: readonly Buffer[];
  /** Octets of the section that are fields. What follows them is content although no blank line stands between. */
  fieldBytes: number;
  from: readonly string[]; // addresses; empty: there is no From
  sender: readonly string[];
  hasDate: boolean;
  messageId: string | null;
  subject: string | null;
}>;
export type HeadRefused = Readonly<{ kind: "refused"; reply: Reply }>;

const DROPPED = new Set(["bcc", "resent-bcc", "return-path"]);
const MAX_HOPS = 100; // RFC 5321 6.3
const MAX_SUBJECT = 250;
const MAX_MESSAGE_ID = 998;

/** @param section the bytes before the blank line; every line ends in CRLF. */
export function readHead(section: Buffer): Head | HeadRefused {
  const text = section.toString("latin1");
  const { fields, end } = scanFields(text);
  const seen = notable(text, fields);
  if (seen.hops > MAX_HOPS) return refused(554, "4.6", `More than ${MAX_HOPS} Received headers: a mail loop`);
  const from = claimed(text, "From", seen.from);
  if (!Array.isArray(from)) return from;
  const sender = claimed(text, "Sender", seen.sender);
  if (!Array.isArray(sender)) return sender;
  return {
    kind: "head",
    kept: keep(section, fields, seen.dropped),
    fieldBytes: end,
    from,
    sender,
    hasDate: seen.hasDate,
    messageId: seen.messageId === undefined ? null : fieldValue(text, seen.messageId).slice(0, MAX_MESSAGE_ID),
    subject: seen.subject === undefined ? null : decodeWords(fieldValue(text, seen.subject), MAX_SUBJECT),
  };
}

type Notable = {
  hops: number;
  hasDate: boolean;
  messageId?: Field;
  subject?: Field;
  from: Field[];
  sender: Field[];
  dropped: Set<Field>;
};

function notable(text: string, fields: readonly Field[]): Notable {
  const seen: Notable = { hops: 0, hasDate: false, from: [], sender: [], dropped: new Set() };
  for (const field of fields) {
    const { name } = field;
    if (name === "received") seen.hops += 1;
    else if (name === "from") seen.from.push(field);
    else if (name === "sender") seen.sender.push(field);
    else if (name === "subject") seen.subject ??= field;
    else if (DROPPED.has(name)) seen.dropped.add(field);
    else if (name === "date" || name === "message-id") {
      // An empty one is as good as missing, and two of them would be one too many.
      if (fieldValue(text, field) === "") seen.dropped.add(field);
      else if (name === "date") seen.hasDate = true;
      else seen.messageId ??= field;
    }
  }
  return seen;
}

function claimed(text: string, name: "From" | "Sender", fields: readonly Field[]): string[] | HeadRefused {
  const [field] = fields;
  if (field === undefined) return [];
  if (fields.length > 1) return refused(550, "6.0", `More than one ${name} header`);
  const mailboxes = parseMailboxes(fieldValue(text, field));
  return (
    mailboxes ??
    refused(
      550,
      "6.0",
      `Malformed ${name} header: it must be a list of addresses, names with special characters in quotes`,
    )
  );
}

function keep(section: Buffer, fields: readonly Field[], dropped: ReadonlySet<Field>): Buffer[] {
  const end = fields.at(-1)?.end ?? 0;
  const pieces: Buffer[] = [];
  let start = 0;
  for (const field of dropped) {
    if (field.start > start) pieces.push(section.subarray(start, field.start));
    start = field.end;
  }
  if (start < end) pieces.push(section.subarray(start, end));
  return pieces;
}

function refused(code: number, detail: Reply["detail"], text: string): HeadRefused {
  return { kind: "refused", reply: { code, detail, text } };
}
