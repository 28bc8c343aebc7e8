/**
 * The proof of promise P3: recomputes every counter, every statement and every kept sum from the ledger, and the ledger from the mail.
 *
 *   accept entries of a period = usage counter = what the API shows as used = the statement's units (per subaccount, per master)
 *   correction entries         = what the API shows as corrections = the statement's corrections; they move no counter
 *   accept entries             = messages that were stored, one each, a unit per recipient (while messages are kept)
 *   credits that were spent    = their journal, by lot and by usage row
 *   what was chosen            = what rules, for each account; a statement's amounts = what the terms come to that ruled
 *   entries of a day gone by   = the sums that are kept of it; counters and statements are held against the entries themselves
 *   entries of an archived day = the same, from the files that are proven to be those that were written; counters and statements are
 *                                held against what is left of entries in the database and those sums
 *
 * Invariant: reads only; page by page, without a long transaction, also while mail is accepted: a difference is reported
 * only where one snapshot shows it.
 */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { shareArchive } from "./archive-records.ts";
import type { Check, Difference, Findings, Progress } from "./difference.ts";
import type { Month } from "./months.ts";
import { verifyArchive } from "./verify-archive.ts";
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
  /** Archived months whose entries were not read: the sums that are kept of them stood for them. */
  unread: readonly Month[];
}>;

export type VerifyOptions = Readonly<{
  /** The folder of the archive; left out: its files are not read. */
  archiveDir?: string;
  onProgress?: (progress: Progress) => void;
}>;

const MOST = 1000;

export function verifyLedger(db: Db, clock: Clock, options: VerifyOptions = {}): Promise<LedgerReport> {
  return shareArchive(db, () => verifyAll(db, clock, options));
}

async function verifyAll(db: Db, clock: Clock, { archiveDir, onProgress }: VerifyOptions): Promise<LedgerReport> {
  const read: Record<Check, number> = {
    archive: 0,
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
      onProgress?.({ check, read: read[check] });
    },
  });
  const archive = await verifyArchive(db, archiveDir, findingsOf("archive"));
  await verifyCounters(db, clock, archive, findingsOf("counters"));
  await verifyEntries(db, archive.horizon, findingsOf("entries"));
  await verifyMessages(db, findingsOf("messages"));
  await verifyStatements(db, findingsOf("statements"));
  await verifyDays(db, findingsOf("days"));
  await verifyCredits(db, findingsOf("credits"));
  await verifyPrices(db, findingsOf("prices"));
  return { ok: found === 0, read, differences, found, unread: archive.unread };
}
