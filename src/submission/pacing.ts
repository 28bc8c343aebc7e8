/**
 * Who goes on after its limit in many sessions is answered more slowly while others have mail accepted: a refusal costs little,
 * ten thousand a second cost others half of their rate.
 *
 * Invariant: an account that is alone, and one that is refused less than PER_SECOND times a second, never waits; nobody
 * waits more than LONGEST_MS. Bounded: at most MAX_ACCOUNTS are known, then all are forgotten.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SubaccountId } from "../platform/ids.ts";

export interface Pacing {
  /** A message of this account was accepted. */
  accepted(account: SubaccountId): void;
  /** Resolves when a refusal for its limit may be answered. */
  turn(account: SubaccountId): Promise<void> | undefined;
}

const PER_SECOND = 200;
const LONGEST_MS = 5000;
const LATELY_MS = 1000;
const MAX_ACCOUNTS = 10_000;

type Seen = { account: SubaccountId | undefined; atMs: number };

export function createPacing(
  nowMs: () => number = () => performance.now(),
  wait: (ms: number) => Promise<void> = sleep,
): Pacing {
  let last: Seen = { account: undefined, atMs: Number.NEGATIVE_INFINITY };
  let other: Seen = last; // the last one of another account than `last`
  /** When the next refusal of an account is due, if it were to get PER_SECOND of them evenly. */
  const due = new Map<SubaccountId, number>();

  const othersAtWork = (account: SubaccountId, now: number) => {
    const { atMs } = last.account === account ? other : last;
    return now - atMs < LATELY_MS;
  };

  return {
    accepted(account) {
      if (last.account !== account) {
        other = last;
        last = { account, atMs: 0 };
      }
      last.atMs = nowMs();
    },
    turn(account) {
      const now = nowMs();
      if (due.size >= MAX_ACCOUNTS) due.clear();
      const next = Math.max(due.get(account) ?? 0, now - LATELY_MS) + 1000 / PER_SECOND;
      due.set(account, Math.min(next, now + LONGEST_MS));
      return next > now && othersAtWork(account, now) ? wait(Math.min(next - now, LONGEST_MS)) : undefined;
    },
  };
}
