/**
 * Takes a month out of the ledger's partitions into a file, step by step; each one can be the last, and the next run ends what it began:
 *
 *   written    the file of entries, then its manifest, each flushed and renamed into place. No row yet: the next run writes them anew
 *   compared   both read back from the disk, and the entries read from the database a second time: the same bytes, or it ends here
 *   recorded   a row of ledger_archive, which says what was written. The next run checks the files against it
 *   removed    one transaction: the partitions, locked, hold what the row says; they are dropped, and the row says when
 *
 * Invariant: an entry is in the database until a file was proven that has it; it is in one of both afterwards, never in neither, and
 * counted once. What leaves is what nothing more is asked of (archive-due.ts).
 * On failure: the database is untouched, and the error says what to do.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { digestFile, digestTexts, type GzipDigests, readGzip, writeGzip, writeText } from "../platform/gzip-file.ts";
import { checkTurn, dueMonths, partitionDays, waitsFor } from "./archive-due.ts";
import {
  checkFiles,
  createTotals,
  fileOf,
  folderFault,
  manifestOf,
  manifestText,
  sha256,
  type Totals,
} from "./archive-files.ts";
import { type ArchiveRecord, findArchive, holdArchive } from "./archive-records.ts";
import { type By, removeMonth } from "./archive-remove.ts";
import { type EntryText, entryLine, HEADER, readPages } from "./archive-row.ts";
import { firstDay, type Month, monthAfter } from "./months.ts";

export type ArchiveStep = "written" | "compared" | "recorded" | "removed";

export type ArchiveOptions = By &
  Readonly<{
    dir: string;
    /** How long a month stays in the database after its end. */
    retentionMs: number;
    /** The next step waits for it. */
    onStep?: (step: ArchiveStep) => void | Promise<void>;
    /** Entries that a step has read, page by page. */
    onPage?: (entries: number) => void;
  }>;

/**
 * The month whose turn it is, or one that was restored.
 * @throws Fault conflict, not-found, unavailable; its text says what the month waits for, or what is wrong
 */
export function archiveMonth(db: Db, month: Month, options: ArchiveOptions): Promise<ArchiveRecord> {
  return holdArchive(db, async (connection) => {
    await checkTurn(connection, month);
    const waits = await waitsFor(connection, month, options.retentionMs);
    if (waits.length > 0) throw new Fault("conflict", `${month} can't be archived yet: ${waits.join("; ")}.`);
    const before = await findArchive(connection, month);
    if (before === undefined) await write(connection, month, options);
    else await check(connection, before, options);
    const record = (await findArchive(connection, month))!;
    await removeMonth(connection, record, options);
    await options.onStep?.("removed");
    return (await findArchive(connection, month))!;
  });
}

/** The next month that is due, if it waits for nothing: the job does one in each run. */
export async function archiveNext(
  db: Db,
  options: ArchiveOptions,
): Promise<ArchiveRecord | { month: Month; waits: string[] } | undefined> {
  const [month] = await dueMonths(db, options.retentionMs);
  if (month === undefined) return undefined;
  const waits = await waitsFor(db, month, options.retentionMs);
  return waits.length > 0 ? { month, waits } : await archiveMonth(db, month, options);
}

async function write(db: Db, month: Month, { dir, onStep, onPage }: ArchiveOptions): Promise<void> {
  const path = join(dir, fileOf(month));
  const previous = (await findArchive(db, monthAfter(month, -1)))?.manifestSha256 ?? null;
  const counted = createTotals();
  const { digests, manifest } = await onDisk(async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const digests = await writeGzip(path, textsOf(counting(readMonth(db, month), counted, onPage)));
    const manifest = manifestText(month, counted.totals(), digests, previous);
    await writeText(manifestOf(path), manifest);
    return { digests, manifest };
  }, path);
  await onStep?.("written");
  await compare(db, month, path, digests, onPage);
  await onStep?.("compared");
  await record(db, month, { totals: counted.totals(), digests, manifestSha256: sha256(manifest) });
  await onStep?.("recorded");
}

async function* readMonth(db: Db, month: Month): AsyncGenerator<EntryText[]> {
  yield* readPages(db, await partitionDays(db, "usage_entry", month));
}

async function* counting(
  pages: AsyncIterable<EntryText[]>,
  counted: ReturnType<typeof createTotals>,
  onPage?: (entries: number) => void,
): AsyncGenerator<EntryText[]> {
  for await (const page of pages) {
    counted.add(page);
    yield page;
    onPage?.(page.length);
  }
}

async function* textsOf(pages: AsyncIterable<EntryText[]>): AsyncGenerator<string> {
  yield HEADER;
  for await (const page of pages) yield page.map(entryLine).join("");
}

/** The disk says what was written, and the database says the same again. */
async function compare(
  db: Db,
  month: Month,
  path: string,
  { file, plain }: GzipDigests,
  onPage?: (entries: number) => void,
): Promise<void> {
  const same = await onDisk(async () => {
    if ((await digestFile(path)).sha256 !== file.sha256) return false;
    return (await digestTexts(readGzip(path))).sha256 === plain.sha256;
  }, path);
  if (!same)
    throw new Fault(
      "unavailable",
      `${path} does not read as it was written: look at its disk. The ledger is untouched.`,
    );
  await compareDatabase(db, month, plain.sha256, onPage);
}

async function compareDatabase(
  db: Db,
  month: Month,
  plainSha256: string,
  onPage?: (entries: number) => void,
): Promise<void> {
  const again = await digestTexts(textsOf(counting(readMonth(db, month), createTotals(), onPage)));
  if (again.sha256 !== plainSha256) {
    throw new Fault(
      "conflict",
      `The entries of ${month} in the database are not those of its file. The ledger is untouched; postmeter ledger verify says more.`,
    );
  }
}

/** What an earlier run recorded, or wrote before the month was restored. */
async function check(db: Db, record: ArchiveRecord, { dir, onStep, onPage }: ArchiveOptions): Promise<void> {
  const previous = (await findArchive(db, monthAfter(record.month, -1)))?.manifestSha256 ?? null;
  const wrong = await onDisk(() => checkFiles(dir, record, previous), join(dir, record.file));
  if (wrong.length > 0) {
    throw new Fault(
      "conflict",
      `${record.month} was written before, but ${wrong.join("; ")}. The ledger is untouched.`,
    );
  }
  await compareDatabase(db, record.month, record.plainSha256, onPage);
  await onStep?.("compared");
}

async function record(
  db: Db,
  month: Month,
  { totals, digests, manifestSha256 }: Readonly<{ totals: Totals; digests: GzipDigests; manifestSha256: string }>,
): Promise<void> {
  const { file, plain } = digests;
  const bytes = (hex: string) => Buffer.from(hex, "hex");
  await sql`
    insert into ledger_archive (month, file, entries, kinds, first_id, last_id, file_bytes, file_sha256, plain_bytes, plain_sha256,
                                manifest_sha256, archived_at)
    values (${firstDay(month)}::date, ${fileOf(month)}, ${totals.entries}, ${JSON.stringify(totals.kinds)}::jsonb, ${totals.firstId},
            ${totals.lastId}, ${file.bytes}, ${bytes(file.sha256)}, ${plain.bytes}, ${bytes(plain.sha256)}, ${bytes(manifestSha256)},
            pm_now())`.execute(db);
}

async function onDisk<T>(work: () => Promise<T>, path: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw folderFault(error, `The ledger is untouched: ${path} could not be written or read`);
  }
}
