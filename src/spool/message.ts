/** A message from the end of DATA to its last outcome. */
import type { Calendar, Period } from "../metering/period.ts";
import type { CredentialId, MasterId, MessageId, SubaccountId } from "../platform/ids.ts";
import type { Over } from "../quota/gate.ts";

/** Part 0 of a body is at most this long; what follows is written ahead in parts of PART_BYTES. */
export const PART_ZERO_BYTES = 256 * 1024;
export const PART_BYTES = 256 * 1024;

/** The route of sandbox mail: bound to it from acceptance on, with the reports that it causes. Nothing of it leaves the house. */
export const SANDBOX_ROUTE = "sandbox:";

/** RFC 3461 parameters are kept in their wire form (xtext decoded). */
export type Recipient = Readonly<{ address: string; originalRecipient: string | null; notify: string | null }>;

/** What the door for clients hands to `accept`: normalised, with our headers, CRLF line endings, no dot-stuffing. */
export type Submission = Readonly<{
  id: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  credentialId: CredentialId | null;
  /** Counted apart, never delivered. */
  sandbox?: true;
  calendar: Calendar; // the master's: Postgres may find that the period has just changed
  period: Period;
  sender: string; // reverse-path, domain as A-label; "" for <>
  recipients: readonly Recipient[]; // unique
  units: number; // recipients.length, unique after normalisation
  sizeBytes: number; // the whole message, headers included
  partZero: readonly Uint8Array[]; // the head and as much content as fits
  bodyParts: number; // 1 when partZero is all; else parts 1.. are already stored (spool/stage)
  headerFrom: string | null;
  headerMessageId: string | null;
  subject: string | null; // decoded, at most 250 characters
  envelopeId: string | null;
  ret: "FULL" | "HDRS" | null;
  eightBit: boolean;
  smtpUtf8: boolean;
}>;

/**
 * A message that may be stored, as its client knows it: `sizeBytes` is without the header that we put on top, whose length is
 * `addedBytes`.
 */
export type Doubtful = Readonly<{ id: MessageId; subaccountId: SubaccountId; sizeBytes: number; addedBytes: number }>;

export type Acceptance =
  | Readonly<{ kind: "accepted"; id: MessageId }>
  | Over
  /** A window of a short time is full. */
  | Readonly<{ kind: "rate" }>
  | Readonly<{ kind: "closed" }>
  /** Surely not stored, not charged: 451. */
  | Readonly<{ kind: "failed" }>
  /** Nobody can say: close the connection without a reply, so that the client keeps the message. */
  | Readonly<{ kind: "unknown" }>;

/** Work for a delivery worker, held under a lease. `bytes` is there for fresh mail in memory, else read with spool/body. */
export type Task = Readonly<{
  id: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  kind: "submitted" | "dsn" | "system";
  attempt: number; // from 1
  leasedUntilMs: number; // by the holder's monotonic clock (performance.now())
  expiresAt: Date;
  acceptedAt: Date;
  route: string | null; // bound to this route by an indeterminate result
  /** Its tenant is held and its lifetime has passed: to be returned without another try. */
  overdue?: boolean;
  sender: string;
  sizeBytes: number;
  bodyParts: number;
  envelopeId: string | null;
  ret: "FULL" | "HDRS" | null;
  eightBit: boolean;
  smtpUtf8: boolean;
  recipients: readonly (Recipient & { n: number })[]; // those still open
  bytes: readonly Uint8Array[] | null; // the whole message when bodyParts is 1 and it came from memory
}>;

/** One try of one recipient, as the API shows it. `at` ISO UTC. */
export type Attempt = Readonly<{
  at: string;
  outcome: "delivered" | "deferred" | "bounced" | "cancelled" | "expired";
  route: string;
  remote: string | null; // host that answered
  code: number | null;
  enhanced: string | null;
  reply: string; // at most 500 characters, control characters removed
  indeterminate?: true;
}>;

/** What a worker found out about a task. Recipients not named stay queued. */
export type Result = Readonly<{
  task: Task;
  recipients: readonly { n: number; state: "delivered" | "deferred" | "bounced"; attempt: Attempt }[];
  /** When to try the deferred ones again; null when none is left open. */
  dueAt: Date | null;
  route: string | null; // binds the next attempt
  /** A report to enqueue in the same transaction (RFC 3464). */
  dsn: Outgoing | null;
}>;

/** Mail of our own: DSNs and system mail. Unmetered. */
export type Outgoing = Readonly<{
  id: MessageId;
  kind: "dsn" | "system";
  masterId: MasterId;
  subaccountId: SubaccountId; // PLATFORM for system mail
  sender: string;
  recipients: readonly string[];
  bytes: Uint8Array;
  smtpUtf8: boolean;
  /** A report on sandbox mail stays in the sandbox. */
  sandbox?: true;
}>;
