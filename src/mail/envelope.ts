/**
 * Parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY, ORCPT
 * (RFC 3461), AUTH (RFC 4954). An unknown one is refused (RFC 5321 4.1.1.11): its meaning would be lost in silence.
 */
import type { Reply } from "./reply.ts";

/** Keys in upper case, values xtext decoded; a keyword without a value is `true`. */
export type Parameters = Readonly<Record<string, string | true>>;

export type MailParameters = Readonly<{
  eightBit: boolean;
  smtpUtf8: boolean;
  ret: "FULL" | "HDRS" | null;
  envelopeId: string | null;
}>;
export type RcptParameters = Readonly<{ notify: string | null; originalRecipient: string | null }>;

export type Read<T> = Readonly<{ kind: "read"; value: T }> | Readonly<{ kind: "refused"; reply: Reply }>;

const MAIL_KNOWN = new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"]);
const RCPT_KNOWN = new Set(["NOTIFY", "ORCPT"]);
const NOTIFY_VALUES = new Set(["SUCCESS", "FAILURE", "DELAY"]);
const PRINTABLE = /^[\x20-\x7e]+$/;
const ORIGINAL_RECIPIENT = /^[A-Za-z0-9-]+;\P{Cc}+$/u;

export function readMailParameters(parameters: Parameters): Read<MailParameters> {
  const unknown = firstUnknown(parameters, MAIL_KNOWN);
  if (unknown !== undefined) return unknown;
  const { BODY = "7BIT", RET, ENVID, SMTPUTF8, SIZE } = parameters;
  const body = upper(BODY);
  if (body !== "7BIT" && body !== "8BITMIME") return malformed("BODY must be 7BIT or 8BITMIME");
  if (SMTPUTF8 !== undefined && SMTPUTF8 !== true) return malformed("SMTPUTF8 takes no value");
  if (SIZE !== undefined && !/^\d{1,20}$/.test(String(SIZE))) return malformed("SIZE must be a number of octets");
  const ret = RET === undefined ? null : upper(RET);
  if (ret !== null && ret !== "FULL" && ret !== "HDRS") return malformed("RET must be FULL or HDRS");
  if (ENVID !== undefined && (ENVID === true || ENVID.length > 100 || !PRINTABLE.test(ENVID))) {
    return malformed("ENVID must be 1 to 100 printable characters");
  }
  return read({ eightBit: body === "8BITMIME", smtpUtf8: SMTPUTF8 === true, ret, envelopeId: ENVID ?? null });
}

export function readRcptParameters(parameters: Parameters): Read<RcptParameters> {
  const unknown = firstUnknown(parameters, RCPT_KNOWN);
  if (unknown !== undefined) return unknown;
  const { NOTIFY, ORCPT } = parameters;
  const notify = NOTIFY === undefined ? null : upper(NOTIFY);
  if (notify !== null && notify !== "NEVER" && !notify.split(",").every((value) => NOTIFY_VALUES.has(value))) {
    return malformed("NOTIFY must be NEVER, or a list of SUCCESS, FAILURE and DELAY");
  }
  if (ORCPT !== undefined && (ORCPT === true || ORCPT.length > 500 || !ORIGINAL_RECIPIENT.test(ORCPT))) {
    return malformed("ORCPT must be an address type, a semicolon and an address");
  }
  return read({ notify, originalRecipient: ORCPT ?? null });
}

function firstUnknown(parameters: Parameters, known: ReadonlySet<string>) {
  const name = Object.keys(parameters).find((key) => !known.has(key));
  if (name === undefined) return undefined;
  const shown = /^[A-Z0-9-]{1,40}$/.test(name) ? ` ${name}` : "";
  return refused({ code: 555, detail: "5.4", text: `Parameter${shown} not recognized` });
}

function malformed(text: string) {
  return refused({ code: 501, detail: "5.4", text });
}

function refused(reply: Reply) {
  return { kind: "refused", reply } as const;
}

function read<T>(value: T): Read<T> {
  return { kind: "read", value };
}

function upper(value: string | true): string {
  return value === true ? "" : value.toUpperCase();
}
