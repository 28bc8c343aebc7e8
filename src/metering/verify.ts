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
import { EVERYTHING, isPart, type Scope } from "./scope.ts";
import { passArchiveOver, verifyArchive } from "./verify-archive.ts";
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
  /** What was looked at, and what of that was not, since it can't be told for a part of the ledger alone. */
  scope: Scope;
  leftOut: readonly LeftOut[];
}>;

/**
 * `archive`: the files of archived months, their manifests, and corrections of charges in them; `day_totals`: with how many entries a day
 * was summed; `credit_lots`: lots and packs; `prices`: all but those of the statement; `chain`: the statements but one and its link.
 */
export type LeftOut = "archive" | "day_totals" | "credit_lots" | "prices" | "chain";

export type VerifyOptions = Readonly<{
  /** The folder of the archive; left out: its files are not read. */
  archiveDir?: string;
  /** Left out: everything. Of a part no file of the archive is read. */
  scope?: Scope;
  onProgress?: (progress: Progress) => void;
}>;

const MOST = 1000;

export function verifyLedger(db: Db, clock: Clock, options: VerifyOptions = {}): Promise<LedgerReport> {
  return shareArchive(db, () => verifyAll(db, clock, options));
}

async function verifyAll(
  db: Db,
  clock: Clock,
  { archiveDir, scope = EVERYTHING, onProgress }: VerifyOptions,
): Promise<LedgerReport> {
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
  const archive = isPart(scope)
    ? await passArchiveOver(db, scope)
    : await verifyArchive(db, archiveDir, findingsOf("archive"));
  await verifyCounters(db, scope, { clock, archive, findings: findingsOf("counters") });
  await verifyEntries(db, scope, archive.horizon, findingsOf("entries"));
  await verifyMessages(db, scope, findingsOf("messages"));
  await verifyStatements(db, scope, findingsOf("statements"));
  await verifyDays(db, scope, findingsOf("days"));
  await verifyCredits(db, scope, findingsOf("credits"));
  if (scope.period === null) await verifyPrices(db, scope, findingsOf("prices"));
  return { ok: found === 0, read, differences, found, unread: archive.unread, scope, leftOut: leftOutOf(scope) };
}

function leftOutOf(scope: Scope): LeftOut[] {
  if (!isPart(scope)) return [];
  const ofMaster: LeftOut[] = ["archive", "day_totals"];
  return scope.period === null ? ofMaster : [...ofMaster, "credit_lots", "prices", "chain"];
}
