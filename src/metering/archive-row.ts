/**
 * Entries of the ledger as lines of a table (RFC 4180): what a file of the archive holds, and what the database says, in one form.
 *
 * Invariant: an entry comes back from its line as it was, to the microsecond; the same entries give the same bytes.
 */
import { sql } from "kysely";
import { csvPlain, csvRow, csvText } from "../platform/csv.ts";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL } from "../platform/ids.ts";
import { partitionOf } from "./day-entries.ts";

export const COLUMNS = [
  "id",
  "master_id",
  "subaccount_id",
  "period_start",
  "units",
  "kind",
  "corrects",
  "note",
  "accepted_at",
  "actor_kind",
  "actor_id",
] as const;

type Optional = "corrects" | "note" | "actor_kind" | "actor_id";

/** An entry as text; instants as `2026-08-01T00:00:00.000000Z`. */
export type EntryText = Readonly<
  Record<Exclude<(typeof COLUMNS)[number], "units" | Optional>, string> &
    Record<Optional, string | null> & { units: number }
>;

export const HEADER = csvRow(COLUMNS);

export function entryLine(entry: EntryText): string {
  const [corrects, actor_kind] = [entry.corrects ?? "", entry.actor_kind ?? ""];
  const values = { ...entry, corrects, actor_kind, note: textCell(entry.note), actor_id: textCell(entry.actor_id) };
  return csvRow(COLUMNS.map((column) => values[column]));
}

const textCell = (text: string | null) => (text === null ? "" : csvText(text));

/** So few that mail, which may be accepted by the same process, waits for milliseconds at most. */
const READ = 1000;

/**
 * The entries of these days (`2026-08-01`), which come in their order, page by page. Each partition is asked by itself, and for no end:
 * a range on both sides looks like few rows to a planner without statistics, which then sorts the day anew for each page.
 */
export async function* readPages(db: Db, days: readonly string[]): AsyncGenerator<EntryText[]> {
  for (const day of days) {
    for (let after: string = BEFORE_ALL; ; ) {
      const { rows } = await sql<EntryText>`
        select id, master_id, subaccount_id, ${exact("period_start")}, units, kind, corrects, note, ${exact("accepted_at")},
               actor_kind, actor_id
          from ${sql.table(partitionOf(day))} where id > ${after}::uuid order by id limit ${READ}`.execute(db);
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (rows.length < READ || last === undefined) break;
      after = last.id;
    }
  }
}

const exact = (column: "period_start" | "accepted_at") =>
  sql`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${sql.ref(column)}`;

const PAGE = 5000;

/** The entries of a file's text, in pages. @throws Error where it is not what `entryLine` writes */
export async function* parsePages(texts: AsyncIterable<string>, pageEntries = PAGE): AsyncGenerator<EntryText[]> {
  let header = true;
  let page: EntryText[] = [];
  for await (const line of linesOf(texts)) {
    if (header) {
      if (`${line}\r\n` !== HEADER) throw new Error("its first line does not name the columns of an archive");
      header = false;
      continue;
    }
    page.push(entryOf(line));
    if (page.length < pageEntries) continue;
    yield page;
    page = [];
  }
  if (header) throw new Error("it has no first line with the columns");
  if (page.length > 0) yield page;
}

/** Line ends within quotes belong to a note. */
async function* linesOf(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  let open = "";
  for await (const text of texts) {
    const pieces = (rest + text).split("\r\n");
    rest = pieces.pop()!;
    for (const piece of pieces) {
      const line = open + piece;
      const quotes = line.includes('"') ? line.split('"').length - 1 : 0;
      open = quotes % 2 === 0 ? "" : `${line}\r\n`;
      if (open === "") yield line;
    }
  }
  if (open !== "" || rest !== "") throw new Error("its last line has no end");
}

function entryOf(line: string): EntryText {
  const cells = line.includes('"') ? quotedCells(line) : line.split(",");
  if (cells.length !== COLUMNS.length) throw new Error(`a line has ${cells.length} cells: ${line.slice(0, 100)}`);
  const [id, master_id, subaccount_id, period_start, units, kind, corrects, note, accepted_at, actor_kind, actor_id] =
    cells as string[];
  return {
    id: id!,
    master_id: master_id!,
    subaccount_id: subaccount_id!,
    period_start: period_start!,
    units: Number(units),
    kind: kind!,
    corrects: corrects === "" ? null : corrects!,
    note: textOf(note!),
    accepted_at: accepted_at!,
    actor_kind: actor_kind === "" ? null : actor_kind!,
    actor_id: textOf(actor_id!),
  };
}

function quotedCells(line: string): string[] {
  return [...line.matchAll(/(?:^|,)("(?:[^"]|"")*"|[^",]*)/g)].map((match) => match[1]!);
}

const textOf = (cell: string) => (cell === "" ? null : csvPlain(unquoted(cell)));
const unquoted = (cell: string) => cell.slice(1, -1).replaceAll('""', '"');

/** The columns' names, as a list of SQL. */
export const columnNames = sql`(${sql.join(COLUMNS.map((column) => sql.ref(column)))})`;

/** Entries as rows of a statement, in the order of the columns. */
export function entryRows(entries: readonly EntryText[]) {
  const of = <T>(value: (entry: EntryText) => T) => entries.map(value);
  return sql`unnest(${of((e) => e.id)}::uuid[], ${of((e) => e.master_id)}::uuid[], ${of((e) => e.subaccount_id)}::uuid[],
    ${of((e) => e.period_start)}::timestamptz[], ${of((e) => e.units)}::int[], ${of((e) => e.kind)}::text[],
    ${of((e) => e.corrects)}::uuid[], ${of((e) => e.note)}::text[], ${of((e) => e.accepted_at)}::timestamptz[],
    ${of((e) => e.actor_kind)}::text[], ${of((e) => e.actor_id)}::text[])`;
}
