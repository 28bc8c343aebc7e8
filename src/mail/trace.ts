/**
 * The trace field that we put on top of a message (RFC 5321 4.4, RFC 3848, RFC 6531 4.3).
 *
 * Invariant: no octet that a client chose gets in, but for an EHLO name of harmless characters.
 */
import { isIPv6 } from "node:net";
import { messageDate } from "./date.ts";

export type Hop = Readonly<{
  greetedAs: string; // what the client called itself
  clientAddress: string; // IP
  hostname: string;
  id: string;
  at: Date;
  tls: boolean;
  authenticated: boolean;
  smtpUtf8: boolean;
}>;

const HARMLESS_NAME = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[A-Za-z0-9.:]+\])$/;

/** With its final CRLF; lines of less than 78 characters unless a name is long. */
export function receivedField(hop: Hop): string {
  const name = hop.greetedAs.length <= 255 && HARMLESS_NAME.test(hop.greetedAs) ? hop.greetedAs : "unknown";
  const literal = isIPv6(hop.clientAddress) ? `[IPv6:${hop.clientAddress}]` : `[${hop.clientAddress}]`;
  const base = hop.smtpUtf8 ? "UTF8SMTP" : "ESMTP";
  const protocol = `${base}${hop.tls ? "S" : ""}${hop.authenticated ? "A" : ""}`;
  return `Received: from ${name} (${literal})\r\n\tby ${hop.hostname} with ${protocol} id ${hop.id};\r\n\t${messageDate(hop.at)}\r\n`;
}
