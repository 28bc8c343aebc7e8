/**
 * The files of a month in the folder of the archive: the entries, compressed, and a manifest that says what they are. The manifest
 * holds the SHA-256 of the one of the month before, so that none can be changed, left out or made later without the next telling.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Fault } from "../platform/errors.ts";
import { digestFile, digestTexts, type GzipDigests, readGzip } from "../platform/gzip-file.ts";
import type { KindTotals } from "../platform/schema.ts";
import type { ArchiveRecord } from "./archive-records.ts";
import { COLUMNS, type EntryText } from "./archive-row.ts";
import type { Month } from "./months.ts";

export function fileOf(month: Month): string {
  return `usage_entry-${month}.csv.gz`;
}

export function manifestOf(file: string): string {
  return file.replace(/\.csv\.gz$/, ".json");
}

export type Totals = Readonly<{ entries: number; kinds: KindTotals; firstId: string | null; lastId: string | null }>;

/** Counts what goes by. */
export function createTotals(): { add(page: readonly EntryText[]): void; totals(): Totals } {
  const kinds: Record<string, { entries: number; units: number }> = {};
  let [firstId, lastId]: (string | null)[] = [null, null];
  let entries = 0;
  return {
    add(page) {
      for (const { kind, units } of page) {
        kinds[kind] ??= { entries: 0, units: 0 };
        kinds[kind].entries += 1;
        kinds[kind].units += units;
      }
      entries += page.length;
      firstId ??= page[0]?.id ?? null;
      lastId = page.at(-1)?.id ?? lastId;
    },
    totals: () => ({ entries, kinds: sortedKinds(kinds), firstId: firstId ?? null, lastId: lastId ?? null }),
  };
}

/** In one order, whoever has counted. */
export function sortedKinds(kinds: KindTotals): KindTotals {
  const sorted = Object.entries(kinds).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([kind, { entries, units }]) => [kind, { entries, units }]));
}

/** `previous`: the SHA-256 of the manifest of the month before; null for the first one of the archive. */
export function manifestText(month: Month, totals: Totals, { file, plain }: GzipDigests, previous: string | null) {
  const manifest = {
    format: 1,
    table: "usage_entry",
    month,
    file: fileOf(month),
    columns: COLUMNS,
    entries: totals.entries,
    kinds: totals.kinds,
    first_id: totals.firstId,
    last_id: totals.lastId,
    file_bytes: file.bytes,
    file_sha256: file.sha256,
    plain_bytes: plain.bytes,
    plain_sha256: plain.sha256,
    previous_manifest_sha256: previous,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

export function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Holds the files against the record, whole.
 * @returns what is wrong; empty when nothing is
 */
export async function checkFiles(dir: string, record: ArchiveRecord, previous: string | null): Promise<string[]> {
  const wrong: string[] = [];
  const manifest = manifestOf(record.file);
  const text = await readFile(join(dir, manifest)).catch(unlessMissing);
  if (text === undefined) wrong.push(`its manifest ${manifest} is not in ${dir}`);
  else if (sha256(text) !== record.manifestSha256)
    wrong.push(`its manifest ${manifest} is not the one that was written: SHA-256 ${sha256(text)}`);
  else wrong.push(...compareManifest(JSON.parse(text.toString()), record, previous));
  wrong.push(...(await checkEntries(dir, record)));
  return wrong;
}

type Manifest = Readonly<Record<string, unknown>>;

/** Once the manifest is proven: what stands beside its checksum in the record is what it says. */
function compareManifest(manifest: Manifest, record: ArchiveRecord, previous: string | null): string[] {
  const told: Manifest = {
    ...{ month: record.month, file: record.file, entries: record.entries, kinds: sortedKinds(record.kinds) },
    ...{
      first_id: record.firstId,
      last_id: record.lastId,
      file_bytes: record.fileBytes,
      file_sha256: record.fileSha256,
    },
    ...{ plain_bytes: record.plainBytes, plain_sha256: record.plainSha256 },
  };
  const wrong = Object.keys(told)
    .filter((name) => !isDeepStrictEqual(told[name], manifest[name]))
    .map((name) => {
      const [is, was] = [told[name], manifest[name]].map((value) => JSON.stringify(value));
      return `its record in ledger_archive says ${name} ${is}, its manifest ${was}`;
    });
  if (manifest.previous_manifest_sha256 !== previous)
    wrong.push(`its manifest ${manifestOf(record.file)} does not name the one of the month before it`);
  return wrong;
}

/** Those that are not in the folder, or not of the size that was written: a look, and no proof. */
export async function missingFiles(dir: string, records: readonly ArchiveRecord[]): Promise<string[]> {
  const missing: string[] = [];
  for (const { file, fileBytes } of records) {
    const found = await stat(join(dir, file)).catch(unlessMissing);
    if (found?.size !== fileBytes) missing.push(file);
  }
  return missing;
}

async function checkEntries(dir: string, record: ArchiveRecord): Promise<string[]> {
  const path = join(dir, record.file);
  const file = await digestFile(path).catch(unlessMissing);
  if (file === undefined) return [`its file ${record.file} is not in ${dir}`];
  if (file.sha256 !== record.fileSha256) {
    const [is, was] = [`SHA-256 ${file.sha256} of ${file.bytes} bytes`, `${record.fileSha256} of ${record.fileBytes}`];
    return [`its file ${record.file} is not the one that was written: ${is}, it was ${was}`];
  }
  const plain = await digestTexts(readGzip(path));
  if (plain.sha256 === record.plainSha256 && plain.bytes === record.plainBytes) return [];
  return [`its file ${record.file} unpacks to other bytes than were written: SHA-256 ${plain.sha256}`];
}

/** What a folder has not is an answer; what it can't give is a failure. */
function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

/** The database's, not the folder's. */
const CONNECTION = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_)/;

/** An error of the file system, as whoever runs the archive should hear it; others as they are. */
export function folderFault(error: unknown, what: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined || CONNECTION.test(code)) return error;
  return new Fault("unavailable", `${what}: ${message}. Look at POSTMETER_ARCHIVE_DIR, and run it again.`);
}
