/** When to try again (RFC 5321 4.5.4.1). Pure: the caller gives the instant and the chance. */

/** Attempts of many messages that failed together are spread over this part of the wait, so that they don't return together. */
const SPREAD = 0.1;

export type Try = Readonly<{
  /** Attempts made so far, from 1. */
  attempt: number;
  /** Waits between attempts, at least one; the last one repeats. */
  scheduleMs: readonly number[];
  now: Date;
  expiresAt: Date;
  /** In [0, 1). */
  jitter: number;
}>;

/**
 * The instant of the next attempt: the wait of the schedule and at most a tenth more, never past the expiry, so that the last
 * attempt is made as the message expires. Null: it has had that one.
 */
export function nextAttemptAt({ attempt, scheduleMs, now, expiresAt, jitter }: Try): Date | null {
  if (now >= expiresAt) return null;
  const step = Math.min(Math.max(attempt, 1), scheduleMs.length) - 1;
  const waitMs = (scheduleMs[step] ?? 0) * (1 + SPREAD * jitter);
  return new Date(Math.min(Math.ceil(now.getTime() + waitMs), expiresAt.getTime()));
}
