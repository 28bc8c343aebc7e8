/**
 * Whether a message may go to a peer as it is: its size, 8-bit content and UTF-8 addresses or headers need the peer's
 * consent (RFC 1870, 6152, 6531). What was declared but is not there needs none. Nothing is converted.
 */
import { needsUtf8 } from "../mail/address.ts";
import type { Task } from "../spool/message.ts";
import type { Peer, TaskRecipient } from "./envelope.ts";
import type { Verdict } from "./outcome.ts";

/** What is in the bytes. */
export type Content = Readonly<{ eightBit: boolean; eightBitHeader: boolean }>;

/** True when the peer lacks something that the message declares: then its content decides. */
export function needsLook(task: Task, recipients: readonly TaskRecipient[], peer: Peer): boolean {
  if (peer.maxBytes > 0 && task.sizeBytes > peer.maxBytes) return true;
  if (task.eightBit && !peer.eightBit) return true;
  if (peer.utf8) return false;
  return task.smtpUtf8 || needsUtf8(task.sender) || recipients.some(({ address }) => needsUtf8(address));
}

/** The verdict on each recipient that the message can't go to by this peer; null: it can. */
export function unfit(
  task: Task,
  recipients: readonly TaskRecipient[],
  peer: Peer,
  content: Content,
): readonly (Verdict | null)[] {
  const whole = unfitWhole(task, peer, content);
  return recipients.map(({ address }) => {
    if (whole !== null) return whole;
    return !peer.utf8 && needsUtf8(address) ? refusal("5.6.7", `${peer.host} takes no UTF-8 addresses`) : null;
  });
}

function unfitWhole(task: Task, peer: Peer, content: Content): Verdict | null {
  if (peer.maxBytes > 0 && task.sizeBytes > peer.maxBytes) {
    return refusal("5.3.4", `The message has ${task.sizeBytes} bytes, ${peer.host} takes ${peer.maxBytes}`);
  }
  if (!peer.utf8 && needsUtf8(task.sender)) return refusal("5.6.7", `${peer.host} takes no UTF-8 addresses`);
  if (!peer.utf8 && task.smtpUtf8 && content.eightBitHeader) {
    return refusal("5.6.9", `${peer.host} takes no UTF-8 headers`);
  }
  if (!peer.eightBit && content.eightBit) return refusal("5.6.3", `${peer.host} takes no 8-bit content`);
  return null;
}

function refusal(enhanced: string, text: string): Verdict {
  return { kind: "bounced", code: null, enhanced, text, indeterminate: false };
}

/** Looks through a message, part by part, as far as it must. */
export async function lookAt(parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Content> {
  let tail = ""; // the last bytes of the part before: the header's end may be cut
  let inHeader = true;
  let eightBit = false;
  for await (const part of parts) {
    const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    if (inHeader) {
      const text = tail + bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const header = end === -1 ? text : text.slice(0, end);
      if (/[\x80-\xff]/.test(header)) return { eightBit: true, eightBitHeader: true };
      inHeader = end === -1;
      tail = text.slice(-3);
    }
    eightBit ||= hasHighByte(bytes);
    if (eightBit && !inHeader) break;
  }
  return { eightBit, eightBitHeader: false };
}

function hasHighByte(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i += 1) if ((bytes[i] as number) > 127) return true;
  return false;
}
