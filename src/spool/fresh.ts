/** Fresh mail as work for the process that has just accepted it: nothing is read back from the database. */
import type { MessageId } from "../platform/ids.ts";
import { SANDBOX_ROUTE, type Submission, type Task } from "./message.ts";

export function freshTask(submission: Submission, leasedUntilMs: number, lifetimeMs: number): Task {
  const { id, masterId, subaccountId, sender, sizeBytes, bodyParts, envelopeId, ret, eightBit, smtpUtf8 } = submission;
  const acceptedAtMs = instantOf(id);
  return {
    id,
    masterId,
    subaccountId,
    kind: "submitted",
    attempt: 1,
    leasedUntilMs,
    acceptedAt: new Date(acceptedAtMs),
    expiresAt: new Date(acceptedAtMs + lifetimeMs),
    route: submission.sandbox ? SANDBOX_ROUTE : null,
    sender,
    sizeBytes,
    bodyParts,
    envelopeId,
    ret,
    eightBit,
    smtpUtf8,
    recipients: submission.recipients.map((recipient, n) => ({ ...recipient, n })),
    bytes: submission.partZero,
  };
}

/** Milliseconds since 1970: the first 48 bits of a UUIDv7 (RFC 9562 section 5.7). */
function instantOf(id: MessageId): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
