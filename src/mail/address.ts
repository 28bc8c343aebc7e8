/**
 * Envelope addresses (RFC 5321 4.1.2, RFC 6531). Inside the program an address is text: the local part as the client
 * wrote it, `@`, the domain as lower-case A-labels or an address literal. Control characters never get in.
 */
import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";

const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u{A0}-\\u{10FFFF}-]+";
const LOCAL_PART = new RegExp(`^(?:${ATEXT}(?:\\.${ATEXT})*|"(?:[ !#-\\[\\]-~\\u{A0}-\\u{10FFFF}]|\\\\[ -~])*")$`, "u");
// Zero-width and bidirectional controls, byte-order mark, replacement character (bytes that were no UTF-8), surrogates.
const DECEPTIVE = /[\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd\ud800-\udfff]/u;
// RFC 2047 5: none may stand in an address, where some readers decode it nevertheless, and see another one than we do.
const ENCODED_WORD = /=\?[^?]+\?[bq]\?[^?]*\?=/i;
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const PLAIN_HOST = /^[a-z0-9.-]+$/;
const MAX_UNICODE_DOMAIN = 1000; // far more than any that fits as A-labels: their making takes time by the square
const MAX_ORDINARY = 100; // well below any limit of a part
const MAX_ADDRESS_OCTETS = 254; // RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets

/** Nearly all addresses: nothing in them has a second form or a second reading. Any other is looked at more closely. */
const ORDINARY = /^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;

/** The address in its inner form; undefined unless it is well-formed. The empty reverse-path is not an address. */
export function parseAddress(text: string): string | undefined {
  if (isOrdinary(text)) return text;
  const at = text.lastIndexOf("@");
  if (at < 1) return undefined;
  const local = text.slice(0, at);
  if (!LOCAL_PART.test(local) || DECEPTIVE.test(local) || ENCODED_WORD.test(local)) return undefined;
  const domain = text[at + 1] === "[" ? parseLiteral(text.slice(at + 1)) : asciiDomain(text.slice(at + 1));
  if (domain === undefined) return undefined;
  const address = `${local}@${domain}`;
  return Buffer.byteLength(address) <= MAX_ADDRESS_OCTETS ? address : undefined;
}

/** True when it is an address in its inner form at first sight; false tells nothing. */
export function isOrdinary(text: string): boolean {
  return text.length <= MAX_ORDINARY && ORDINARY.test(text) && !text.includes("xn--");
}

/** A host name as lower-case A-labels without a final dot; undefined unless it is one. */
export function asciiDomain(text: string): string | undefined {
  if (text.length > MAX_UNICODE_DOMAIN) return undefined;
  const lower = text.toLowerCase();
  const plain = PLAIN_HOST.test(lower);
  // domainToASCII is a URL's host parser: what it would cut, decode or read as an IPv4 number must not get to it.
  if (!plain && /[\0-,/:-`{-\u009f]/.test(lower)) return undefined;
  const ascii = plain && !lower.includes("xn--") ? lower : domainToASCII(lower);
  if (ascii.length === 0 || ascii.length > 253) return undefined;
  const labels = ascii.split(".");
  if (/^\d+$/.test(labels.at(-1) ?? "")) return undefined;
  return labels.every((label) => HOST_LABEL.test(label)) ? ascii : undefined;
}

/** The domain of an address in its inner form: A-labels, or a literal in brackets. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** Two addresses with one key are one recipient and one unit. */
export function recipientKey(address: string): string {
  return address.toLowerCase();
}

/** True when the address needs SMTPUTF8 (RFC 6531): its domain never does. */
export function needsUtf8(address: string): boolean {
  return /[^\0-\x7f]/.test(address);
}

function parseLiteral(text: string): string | undefined {
  if (!text.endsWith("]")) return undefined;
  const inner = text.slice(1, -1);
  if (isIPv4(inner)) return text;
  const ipv6 = /^ipv6:(.+)$/i.exec(inner)?.[1];
  return ipv6 !== undefined && isIPv6(ipv6) && !ipv6.includes("%") ? `[IPv6:${ipv6.toLowerCase()}]` : undefined;
}
