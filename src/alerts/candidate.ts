/** Accounts that the marks name to be looked at closer (watch.ts). */
import { type CalendarColumns, calendarOf } from "../accounts/calendar.ts";
import type { RecentAccount } from "../metering/recent-days.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";

/** `budgetMs`: after it no further one is looked at. */
export type Patience = Readonly<{ budgetMs: number; failed(error: unknown): void }>;

export type Candidate = CalendarColumns &
  Readonly<{ account_id: AccountId; master_id: MasterId; created_at: Date; day: string }>;

/** What readRecentDays asks for. */
export function recentAccountOf(candidate: Candidate): RecentAccount {
  const { account_id, master_id } = candidate;
  return {
    id: account_id === master_id ? null : (account_id as SubaccountId),
    masterId: master_id,
    calendar: calendarOf(candidate),
    createdAt: candidate.created_at,
  };
}

/** Does each in turn; true is counted. */
export async function eachCandidate<T>(
  candidates: readonly T[],
  { budgetMs, failed }: Patience,
  look: (candidate: T) => Promise<boolean>,
): Promise<number> {
  const until = performance.now() + budgetMs;
  let found = 0;
  for (const candidate of candidates) {
    if (performance.now() >= until) break;
    try {
      if (await look(candidate)) found += 1;
    } catch (error) {
      failed(error);
    }
  }
  return found;
}
