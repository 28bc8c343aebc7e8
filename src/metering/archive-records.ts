/**
 * What is known of the archive: a row for each month that was written to a file, and the lock under which months leave the
 * database and come back.
 *
 * Invariant: while anyone holds the lock alone, one month is on its way and nobody else reads the whole ledger; `ledger verify` shares it
 * with others of its kind.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { KindTotals } from "../platform/schema.ts";
import { firstDay, type Month, monthOf } from "./months.ts";

export type ArchiveRecord = Readonly<{
  month: Month;
  /** The name of the file; its manifest is called like it, with .json. */
  file: string;
  entries: number;
  kinds: KindTotals;
  firstId: string | null;
  lastId: string | null;
  fileBytes: number;
  fileSha256: string;
  plainBytes: number;
  plainSha256: string;
  manifestSha256: string;
  archivedAt: Date;
  removedAt: Date | null;
  restoredAt: Date | null;
  /** Its entries are in the file alone. False: they are in the database, since they were not taken out yet, or have come back. */
  archived: boolean;
}>;

/** In the order of the months. */
export async function listArchives(db: Db, which: RawBuilder<unknown> = sql`true`): Promise<ArchiveRecord[]> {
  const { rows } = await sql<ArchiveRecord & { day: string }>`
    select month::text as day, file, entries, kinds, first_id as "firstId", last_id as "lastId", file_bytes as "fileBytes",
           encode(file_sha256, 'hex') as "fileSha256", plain_bytes as "plainBytes", encode(plain_sha256, 'hex') as "plainSha256",
           encode(manifest_sha256, 'hex') as "manifestSha256", archived_at as "archivedAt", removed_at as "removedAt",
           restored_at as "restoredAt", archived
      from ledger_archive where ${which} order by month`.execute(db);
  return rows.map(({ day, ...record }) => ({ ...record, month: monthOf(day) }));
}

export async function findArchive(db: Db, month: Month): Promise<ArchiveRecord | undefined> {
  const [record] = await listArchives(db, sql`month = ${firstDay(month)}::date`);
  return record;
}

/** The first month, from the one of an entry with that id on, whose entries are in a file alone; undefined: none. */
export async function firstArchivedFrom(db: Db, id: string): Promise<Month | undefined> {
  const [record] = await listArchives(
    db,
    sql`archived and month + interval '1 month' > instant_of(${id}) at time zone 'UTC'`,
  );
  return record?.month;
}

const LOCK = sql`hashtextextended('ledger archive', 0)`;

/** @throws Fault conflict while a month is on its way, or the ledger is verified, elsewhere */
export function holdArchive<T>(db: Db, work: (connection: Db) => Promise<T>): Promise<T> {
  return db.connection().execute(async (connection) => {
    const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(${LOCK}) as mine`.execute(connection);
    if (rows[0]?.mine !== true) {
      throw new Fault(
        "conflict",
        "The ledger is being verified, or a month of it archived or restored, at this moment. Try again when that is done.",
      );
    }
    try {
      return await work(connection);
    } finally {
      await sql`select pg_advisory_unlock(${LOCK})`.execute(connection);
    }
  });
}

const ASKED_EVERY_MS = 500;

/** Meanwhile no month leaves or comes back. Waits for one that is on its way. */
export function shareArchive<T>(db: Db, work: () => Promise<T>): Promise<T> {
  return db.isTransaction ? shared(db, work) : db.connection().execute((connection) => shared(connection, work));
}

/** `holder`: one connection. */
async function shared<T>(holder: Db, work: () => Promise<T>): Promise<T> {
  for (;;) {
    const { rows } = await sql<{ shared: boolean }>`select pg_try_advisory_lock_shared(${LOCK}) as shared`.execute(
      holder,
    );
    if (rows[0]?.shared === true) break;
    await sleep(ASKED_EVERY_MS);
  }
  try {
    return await work();
  } finally {
    await sql`select pg_advisory_unlock_shared(${LOCK})`.execute(holder);
  }
}
