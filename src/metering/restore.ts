/**
 * Brings an archived month back into the ledger's partitions, for those who must ask its entries again: it is then as if it had never
 * left, and stays until somebody archives it by name. The file and its record stay.
 *
 * Invariant: the files are proven before the first row; the partitions are attached, and the record says so, in one transaction, when
 * they hold all that the file holds.
 * On failure: the month is archived as before. Tables that were filled half belong to no ledger, and go with the next run.
 */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { readGzip } from "../platform/gzip-file.ts";
import { partitionDays, summedDays } from "./archive-due.ts";
import { checkFiles, createTotals, folderFault, sortedKinds } from "./archive-files.ts";
import { type ArchiveRecord, findArchive, holdArchive } from "./archive-records.ts";
import { type By, recordMonth } from "./archive-remove.ts";
import { columnNames, type EntryText, entryRows, parsePages } from "./archive-row.ts";
import { partitionOf, spanOfDay } from "./day-entries.ts";
import { idAt } from "./ledger.ts";
import { dayOfId, daysOfMonth, firstDay, type Month, monthAfter } from "./months.ts";

export type RestoreStep = "checked" | "loaded" | "restored";

export type RestoreOptions = By &
  Readonly<{
    dir: string;
    /** The next step waits for it. */
    onStep?: (step: RestoreStep) => void | Promise<void>;
    onPage?: (entries: number) => void;
  }>;

/** @throws Fault not-found, conflict when it is live or its files are not those that were written, unavailable */
export function restoreMonth(db: Db, month: Month, options: RestoreOptions): Promise<ArchiveRecord> {
  const { dir, onStep, onPage } = options;
  return holdArchive(db, async (connection) => {
    const record = await findArchive(connection, month);
    if (record === undefined)
      throw new Fault("not-found", `${month} is not in the archive: postmeter ledger archives lists it.`);
    if (!record.archived)
      throw new Fault("conflict", `The entries of ${month} are in the database: there is nothing to restore.`);
    await checkFolder(connection, dir, record);
    await onStep?.("checked");
    const days = await makeTables(connection, month);
    await load(connection, join(dir, record.file), { record, days, onPage });
    await onStep?.("loaded");
    await connection.transaction().execute((trx) => attach(trx, { record, days }, options));
    await onStep?.("restored");
    return (await findArchive(connection, month))!;
  });
}

async function checkFolder(db: Db, dir: string, record: ArchiveRecord): Promise<void> {
  const previous = (await findArchive(db, monthAfter(record.month, -1)))?.manifestSha256 ?? null;
  const wrong = await checkFiles(dir, record, previous).catch((error: unknown) => {
    throw folderFault(error, `Nothing was restored: ${dir} could not be read`);
  });
  if (wrong.length > 0) throw new Fault("conflict", `${record.month} can't be restored: ${wrong.join("; ")}.`);
}

/** For the days that had partitions: tables of their own until they are whole. Those that a run left which died go. */
async function makeTables(db: Db, month: Month): Promise<Set<string>> {
  const [day] = await partitionDays(db, "usage_entry", month);
  if (day !== undefined) {
    const detail = `${partitionOf(day)} stands in the ledger, where an archived month has no partition`;
    throw new Fault("conflict", `${month} can't be restored: ${detail}.`);
  }
  for (const day of daysOfMonth(month)) await sql`drop table if exists ${sql.table(partitionOf(day))}`.execute(db);
  const days = new Set<string>();
  for (const day of (await summedDays(db, month)).keys()) await makeTable(db, day, days);
  return days;
}

async function makeTable(db: Db, day: string, days: Set<string>): Promise<void> {
  await sql`create table ${sql.table(partitionOf(day))} (like usage_entry including all)`.execute(db);
  await sql`select set_up_partition('usage_entry', ${partitionOf(day)}::regclass)`.execute(db);
  days.add(day);
}

type Loading = Readonly<{ record: ArchiveRecord; days: Set<string>; onPage: ((entries: number) => void) | undefined }>;

async function load(db: Db, path: string, { record, days, onPage }: Loading): Promise<void> {
  const loaded = createTotals();
  for await (const page of parsePages(readGzip(path))) {
    for (const [day, entries] of Map.groupBy(page, ({ id }) => dayOfId(id))) {
      if (!days.has(day)) await makeTable(db, day, days);
      await insert(db, day, entries);
    }
    loaded.add(page);
    onPage?.(page.length);
  }
  if (!isDeepStrictEqual(loaded.totals().kinds, sortedKinds(record.kinds)))
    throw new Fault("conflict", `${record.month} can't be restored: its file does not hold what the record says.`);
}

async function insert(db: Db, day: string, entries: readonly EntryText[]): Promise<void> {
  await sql`insert into ${sql.table(partitionOf(day))} ${columnNames} select * from ${entryRows(entries)}`.execute(db);
}

async function attach(trx: Db, { record, days }: Pick<Loading, "record" | "days">, by: By): Promise<void> {
  for (const day of days) {
    const [table, { fromMs, toMs }] = [sql.table(partitionOf(day)), spanOfDay(day)];
    await sql`create trigger entry_came_late after insert on ${table}
      for each row execute function entry_came_late(${sql.lit(day)})`.execute(trx);
    await sql`alter table usage_entry attach partition ${table}
      for values from (${sql.lit(idAt(fromMs))}) to (${sql.lit(idAt(toMs))})`.execute(trx);
  }
  await sql`update ledger_archive set restored_at = pm_now() where month = ${firstDay(record.month)}::date`.execute(
    trx,
  );
  await recordMonth(trx, "ledger.restored", record, by);
}
