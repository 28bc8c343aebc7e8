/** What makes two messages the same: the envelope and the bytes as the client sent them. */
import { createHash } from "node:crypto";
import type { Submission } from "./message.ts";

export type Envelope = Pick<Submission, "sender" | "recipients" | "envelopeId" | "ret">;

/**
 * SHA-256 over the envelope, its recipients in any order with their RFC 3461 parameters, and the content behind the first
 * `addedBytes`, which are ours and differ each time (Received, and what the client's header lacked).
 */
export async function hashOf(
  { sender, recipients, envelopeId, ret }: Envelope,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  addedBytes: number,
): Promise<Buffer> {
  const people = recipients.map((r) => JSON.stringify([r.address, r.originalRecipient, r.notify])).sort();
  const hash = createHash("sha256").update(JSON.stringify([sender, people, envelopeId, ret]));
  let skip = addedBytes;
  for await (const bytes of content) {
    hash.update(bytes.subarray(skip));
    skip = Math.max(0, skip - bytes.length);
  }
  return hash.digest();
}
