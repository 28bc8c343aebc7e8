/**
 * The archive: each file is the one that was written, each manifest names the one before, and each entry in them is held against the
 * rest as an entry in the database is: its form, its credits, what was corrected of it, and the sums that are kept of its day.
 *
 * Invariant: what a file says is believed only after it was proven by the SHA-256 in ledger_archive. A file that is missing or another
 * is a difference: its entries are unverified, and the kept sums stand for them.
 */
import { join } from "node:path";
import type { Db } from "../platform/database.ts";
import { readGzip } from "../platform/gzip-file.ts";
import { BEFORE_ALL } from "../platform/ids.ts";
import { checkFiles } from "./archive-files.ts";
import { type ArchiveRecord, listArchives } from "./archive-records.ts";
import { parsePages } from "./archive-row.ts";
import { type Owner, ownerKey } from "./day-entries.ts";
import type { Findings } from "./difference.ts";
import { idAt, spanOf } from "./ledger.ts";
import { type Month, spanOfMonth } from "./months.ts";
import type { Period } from "./period.ts";
import type { Scope } from "./scope.ts";
import { createCorrections } from "./verify-archive-corrections.ts";
import { judgeMonth } from "./verify-archive-rows.ts";

/** What the checks of the database have to know of the archive. */
export type ArchiveSeen = Readonly<{
  /** Corrections of what lies before this id are judged here: the end of the last archived month. */
  horizon: string;
  unread: readonly Month[];
  /** Whether all archived entries were read that can be of the period. */
  isRead(period: Period): boolean;
  sandboxUnits(owner: Owner): number;
}>;

/** @param dir left out: no file is read, and nothing is said about that */
export async function verifyArchive(db: Db, dir: string | undefined, findings: Findings): Promise<ArchiveSeen> {
  const records = await listArchives(db);
  const archived = records.filter((record) => record.archived);
  const horizon = endOf(archived);
  const proven = dir === undefined ? [] : await proveFiles(dir, records, findings);
  const sandbox = new Map<string, number>();
  const corrections = createCorrections(db, { horizon, archived, proven });
  for (const { kinds, file } of proven) {
    if (kinds.correction !== undefined) await corrections.collect(parsePages(readGzip(join(dir!, file))));
  }
  await corrections.collectLive();
  for (const { month, file } of proven) {
    const pages = parsePages(readGzip(join(dir!, file)));
    await judgeMonth(db, month, pages, { findings, corrections, addSandbox, horizon });
  }
  await corrections.judge(findings);
  const unread = archived.filter((record) => !proven.includes(record)).map(({ month }) => month);
  return seenOf(horizon, unread, (owner) => sandbox.get(ownerKey(owner)) ?? 0);

  function addSandbox(owner: Owner, units: number): void {
    const key = ownerKey(owner);
    sandbox.set(key, (sandbox.get(key) ?? 0) + units);
  }
}

/** For a part of the ledger no file is read: each has entries of all masters, and is proven whole or not at all. */
export async function passArchiveOver(db: Db, { period }: Scope): Promise<ArchiveSeen> {
  const archived = (await listArchives(db)).filter((record) => record.archived);
  const months = archived.map(({ month }) => month).filter((month) => period === null || touches(month, period));
  return seenOf(endOf(archived), months, () => 0);
}

function endOf(archived: readonly ArchiveRecord[]): string {
  const last = archived.at(-1);
  return last === undefined ? BEFORE_ALL : idAt(spanOfMonth(last.month).toMs);
}

function seenOf(horizon: string, unread: readonly Month[], sandboxUnits: ArchiveSeen["sandboxUnits"]): ArchiveSeen {
  return { horizon, unread, isRead: (period) => !unread.some((month) => touches(month, period)), sandboxUnits };
}

/** Those whose files are what was written. What was restored is read from the database. */
async function proveFiles(
  dir: string,
  records: readonly ArchiveRecord[],
  { found }: Findings,
): Promise<ArchiveRecord[]> {
  const proven: ArchiveRecord[] = [];
  for (const [i, record] of records.entries()) {
    if (!record.archived) continue;
    const previous = records[i - 1]?.manifestSha256 ?? null;
    const wrong = await checkFiles(dir, record, previous).catch((error: Error) => [
      `it could not be read: ${error.message}`,
    ]);
    for (const detail of wrong) found({ check: "archive", subject: record.month, detail: `unverified: ${detail}` });
    if (wrong.length === 0) proven.push(record);
  }
  return proven;
}

function touches(month: Month, period: Period): boolean {
  const [{ fromMs, toMs }, span] = [spanOfMonth(month), spanOf(period)];
  return fromMs < span.toMs && span.fromMs < toMs;
}
