/**
 * The proof of promise P3: recomputes every counter, every statement and every kept sum from the ledger, and the ledger from the mail.
 *
 *   accept entries of a period = usage counter = what the API shows as used = the statement's units (per subaccount, per master)
 *   correction entries         = what the API shows as corrections = the statement's corrections; they move no counter
 *   accept entries             = messages that were stored, one each, a unit per recipient (while messages are kept)
 *   credits that were spent    = their journal, by lot and by usage row
 *   what was chosen            = what rules, for each account; a statement's amounts = what the terms come to that ruled
 *   entries of a day gone by   = the sums that are kept of it; counters and statements are held against the entries themselves
 *
 * Invariant: reads only; page by page, without a long transaction, also while mail is accepted: a difference is reported
 * only where one snapshot shows it.
 */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { Check, Difference, Findings, Progress } from "./difference.ts";
import { verifyCounters } from "./verify-counters.ts";
import { verifyCredits } from "./verify-credits.ts";
import { verifyDays } from "./verify-days.ts";
import { verifyEntries } from "./verify-entries.ts";
import { verifyMessages } from "./verify-messages.ts";
import { verifyPrices } from "./verify-prices.ts";
import { verifyStatements } from "./verify-statements.ts";

export type LedgerReport = Readonly<{
  ok: boolean;
  /** Rows read by each check. */
  read: Readonly<Record<Check, number>>;
  /** The first thousand. */
  differences: readonly Difference[];
  /** How many there are. */
  found: number;
}>;

const MOST = 1000;

export async function verifyLedger(
  db: Db,
  clock: Clock,
  onProgress: (progress: Progress) => void = () => {},
): Promise<LedgerReport> {
  const read: Record<Check, number> = {
    counters: 0,
    entries: 0,
    messages: 0,
    statements: 0,
    days: 0,
    credits: 0,
    prices: 0,
  };
  const differences: Difference[] = [];
  let found = 0;
  const findingsOf = (check: Check): Findings => ({
    found(difference) {
      found += 1;
      if (differences.length < MOST) differences.push(difference);
    },
    read(rows) {
      read[check] += rows;
      onProgress({ check, read: read[check] });
    },
  });
  await verifyCounters(db, clock, findingsOf("counters"));
  await verifyEntries(db, findingsOf("entries"));
  await verifyMessages(db, findingsOf("messages"));
  await verifyStatements(db, findingsOf("statements"));
  await verifyDays(db, findingsOf("days"));
  await verifyCredits(db, findingsOf("credits"));
  await verifyPrices(db, findingsOf("prices"));
  return { ok: found === 0, read, differences, found };
}
