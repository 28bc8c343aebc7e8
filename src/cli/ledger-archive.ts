/** `postmeter ledger archive`, `archives` and `restore`: months of the ledger that go into files, and come back. */
import type { Command } from "commander";
import { type ArchiveOptions, archiveMonth } from "../metering/archive.ts";
import { dueMonths, nextMonth, summedDays, waitsFor } from "../metering/archive-due.ts";
import { type ArchiveRecord, listArchives } from "../metering/archive-records.ts";
import type { Month } from "../metering/months.ts";
import { restoreMonth } from "../metering/restore.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { LEAST_LEDGER_MS } from "../platform/settings.ts";
import * as input from "./input.ts";
import { table } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { type Cli, type Options, runWith, type Shown, verb } from "./verb.ts";

export function addArchiveCommands(ledger: Command, cli: Cli): void {
  addArchive(ledger, cli);
  verb(ledger, "archives", "the months that are in files, and those that came back", ["ledger archives"]).action(
    (options: Options) => runWith(cli, options, async ({ db }) => shownArchives(await listArchives(db))),
  );
  addRestore(ledger, cli);
}

type ArchiveCommand = Options & { month?: Month; dryRun?: true };

function addArchive(ledger: Command, cli: Cli): void {
  verb(
    ledger,
    "archive",
    "put months that POSTMETER_RETENTION_LEDGER has outlived into files, and out of the database",
    ["ledger archive --dry-run", "ledger archive", "ledger archive --month 2026-08"],
  )
    .option(
      "--month <month>",
      "this one, however long the setting keeps it; it must have ended 93 days ago",
      input.month,
    )
    .option("--dry-run", "only say what would be done, and what a month waits for")
    .action(({ month, dryRun, ...options }: ArchiveCommand) =>
      runWith(cli, options, async (session) => {
        const retentionMs = month === undefined ? retentionOf(session.config) : LEAST_LEDGER_MS;
        const months = month === undefined ? await dueMonths(session.db, retentionMs) : [month];
        if (dryRun) return shownPlan(await planOf(session.db, months, retentionMs), await nextMonth(session.db));
        const done: ArchiveRecord[] = [];
        for (const one of months)
          done.push(await archiveMonth(session.db, one, optionsOf(session, cli, one, retentionMs)));
        return shownArchives(done, "no month is due");
      }),
    );
}

function retentionOf({ retentionLedgerMs }: Config): number {
  if (retentionLedgerMs !== null) return retentionLedgerMs;
  throw new Fault("invalid", "POSTMETER_RETENTION_LEDGER is never: set it, or name a month with --month.");
}

function optionsOf({ config, clock }: Session, cli: Cli, month: Month, retentionMs: number): ArchiveOptions {
  return {
    ...{ dir: config.archiveDir, retentionMs, principal: operator, clock },
    onStep: (step) => cli.complain(`${month}: ${step}\n`),
    onPage: telling(cli, month),
  };
}

const TOLD_EVERY_MS = 2000;

/** Tells now and then, of what is said often. */
export function often(cli: Cli): (line: string) => void {
  let toldAt = performance.now();
  return (line) => {
    if (performance.now() - toldAt < TOLD_EVERY_MS) return;
    toldAt = performance.now();
    cli.complain(`${line}\n`);
  };
}

function telling(cli: Cli, month: Month): (entries: number) => void {
  const tell = often(cli);
  let read = 0;
  return (entries) => {
    read += entries;
    tell(`${month}: ${read} entries read`);
  };
}

type Planned = Readonly<{ month: Month; entries: number; waitsFor: string[] }>;

async function planOf(db: Db, months: readonly Month[], retentionMs: number): Promise<Planned[]> {
  const planned: Planned[] = [];
  for (const month of months) {
    const waits = await waitsFor(db, month, retentionMs);
    const days = await summedDays(db, month);
    planned.push({ month, entries: [...days.values()].reduce((sum, entries) => sum + entries, 0), waitsFor: waits });
  }
  return planned;
}

function shownPlan(planned: readonly Planned[], next: Month | undefined): Shown {
  const json = planned.map(({ month, entries, waitsFor }) => ({ month, entries, waits_for: waitsFor }));
  const rows = planned.map(({ month, entries, waitsFor }) => [month, entries, waitsFor.join("; ") || "nothing"]);
  const none = next === undefined ? "the ledger is empty" : `no month is due; ${next} is next`;
  return { json: { next: next ?? null, data: json }, text: table(["month", "entries", "waits for"], rows, none) };
}

function shownArchives(records: readonly ArchiveRecord[], none?: string): Shown {
  const rows = records.map((record) => [
    ...[record.month, record.entries, record.fileBytes, record.file],
    ...[record.archivedAt, stateOf(record), record.fileSha256],
  ]);
  const header = ["month", "entries", "bytes", "file", "written at", "entries are", "sha256"];
  return { json: { data: records.map(archiveShape) }, text: table(header, rows, none) };
}

const stateOf = ({ archived }: ArchiveRecord) => (archived ? "in the file" : "in the database");

function archiveShape(record: ArchiveRecord): Record<string, unknown> {
  return {
    month: record.month,
    file: record.file,
    entries: record.entries,
    kinds: record.kinds,
    first_id: record.firstId,
    last_id: record.lastId,
    file_bytes: record.fileBytes,
    file_sha256: record.fileSha256,
    plain_bytes: record.plainBytes,
    plain_sha256: record.plainSha256,
    manifest_sha256: record.manifestSha256,
    archived: record.archived,
    archived_at: record.archivedAt,
    removed_at: record.removedAt,
    restored_at: record.restoredAt,
  };
}

function addRestore(ledger: Command, cli: Cli): void {
  verb(ledger, "restore", "bring an archived month back into the database, after its file was proven", [
    "ledger restore --month 2026-08",
  ])
    .requiredOption("--month <month>", "which one", input.month)
    .action(({ month, ...options }: Options & { month: Month }) =>
      runWith(cli, options, async ({ db, config, clock }) => {
        const by = { principal: operator, clock };
        const onStep = (step: string) => cli.complain(`${month}: ${step}\n`);
        const restored = await restoreMonth(db, month, {
          ...by,
          dir: config.archiveDir,
          onStep,
          onPage: telling(cli, month),
        });
        return { ...shownArchives([restored]), json: archiveShape(restored) };
      }),
    );
}
