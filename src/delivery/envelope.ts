/**
 * The commands of one transaction (RFC 5321 4.1.1, RFC 1870, 3461, 6152, 6531). Pure.
 * Addresses are in their inner form (mail/address): no control characters, no blanks but in quotes.
 */
import { needsUtf8 } from "../mail/address.ts";
import type { Task } from "../spool/message.ts";

/** What a peer offered after EHLO. */
export type Peer = Readonly<{
  /** The host that answers, as logs and attempts show it. */
  host: string;
  pipelining: boolean;
  dsn: boolean;
  eightBit: boolean;
  utf8: boolean;
  size: boolean;
  maxBytes: number; // 0: no limit told
}>;

const MAX_ORCPT = 500; // octets

export type TaskRecipient = Task["recipients"][number];

/** MAIL, one RCPT per recipient, DATA. */
export function envelopeCommands(task: Task, recipients: readonly TaskRecipient[], peer: Peer): string[] {
  const utf8 = peer.utf8 && (task.smtpUtf8 || needsUtf8(task.sender) || recipients.some((r) => needsUtf8(r.address)));
  const commands = [mailCommand(task, peer, utf8)];
  for (const recipient of recipients) commands.push(rcptCommand(recipient, peer, utf8));
  commands.push("DATA");
  return commands;
}

function mailCommand(task: Task, peer: Peer, utf8: boolean): string {
  let command = `MAIL FROM:<${task.sender}>`;
  if (peer.size) command += ` SIZE=${task.sizeBytes}`;
  if (peer.eightBit && task.eightBit) command += " BODY=8BITMIME";
  if (utf8) command += " SMTPUTF8";
  if (peer.dsn && task.ret !== null) command += ` RET=${task.ret}`;
  if (peer.dsn && task.envelopeId !== null) command += ` ENVID=${xtext(task.envelopeId)}`;
  return command;
}

function rcptCommand({ address, notify, originalRecipient }: TaskRecipient, peer: Peer, utf8: boolean): string {
  const command = `RCPT TO:<${address}>`;
  if (!peer.dsn || (notify === null && originalRecipient === null)) return command;
  const parameters = notify === null ? "" : ` NOTIFY=${xtext(notify)}`;
  const original = originalRecipient === null ? "" : orcpt(originalRecipient, utf8);
  // Encoded anew it may be longer than a peer has to take (RFC 3461 4.2): a report without it is better than no mail.
  const fits = original !== "" && Buffer.byteLength(original) <= MAX_ORCPT;
  return command + parameters + (fits ? ` ORCPT=${original}` : "");
}

/** `type;address`. The address of type utf-8 has an encoding of its own (RFC 6533 3), which a stored value may hold already. */
function orcpt(value: string, utf8: boolean): string {
  if (!/^utf-8;/i.test(value)) return xtext(value);
  const plain = utf8 ? /[ +=]|\p{Cc}/gu : /[^!-*,-<>-~]/gu;
  return value.replace(plain, (char) => `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`);
}

/** RFC 3461 section 4. */
export function xtext(value: string): string {
  if (!/[^!-*,-<>-~]/.test(value)) return value;
  return Buffer.from(value)
    .toString("latin1")
    .replace(/[^!-*,-<>-~]/g, (char) => `+${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}
