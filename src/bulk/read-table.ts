/**
 * A table that others wrote (RFC 4180, UTF-8), row by row as it comes: memory holds one row, whatever the file's size.
 *
 * On failure: a Fault that names the line; what came before it has been given out.
 */
import { pipeline, Readable } from "node:stream";
import { type CsvError, type Info, parse } from "csv-parse";
import { csvPlain } from "../platform/csv.ts";
import { Fault } from "../platform/errors.ts";
import { columnNames, shownOnly } from "./columns.ts";

/** `cells`: by column, only those that can be set, plain. `detail`: the row can't be read. */
export type TableRow = Readonly<{ line: number; cells: Readonly<Record<string, string>>; detail?: string }>;
export type Table = Readonly<{ ignored: readonly string[]; rows: AsyncIterable<TableRow> }>;

export const MAX_ROWS = 100_000;
const MAX_ROW_CHARS = 64 * 1024;

type Parsed = Readonly<{ record: string[]; info: Info }>;

const options = { bom: true, info: true, relax_column_count: true, skip_empty_lines: true } as const;

/** Reads the header; `rows` reads on. @throws Fault invalid */
export async function readTable(bytes: AsyncIterable<Uint8Array>): Promise<Table> {
  const parser = parse({ ...options, max_record_size: MAX_ROW_CHARS });
  pipeline(Readable.from(textOf(bytes)), parser, () => {}); // the iterator below throws what went wrong
  const records = (parser as AsyncIterable<Parsed>)[Symbol.asyncIterator]();
  const first = await next(records);
  if (first === undefined) throw wrong(1, "The file is empty: its first row names the columns.");
  const header = first.record.map((name) => name.trim().toLowerCase());
  checkHeader(header);
  return {
    ignored: header.filter((name) => shownOnly.includes(name)),
    rows: rowsOf(header, records, linesOf(first.record)),
  };
}

/** Lines that a row takes. The library counts a CRLF inside of quotes twice. */
const linesOf = (record: readonly string[]) => 1 + (record.join("").match(/\r\n|\r|\n/g)?.length ?? 0);

/** @param headerLines how many lines the header takes */
async function* rowsOf(
  header: readonly string[],
  records: AsyncIterator<Parsed>,
  headerLines: number,
): AsyncGenerator<TableRow> {
  let before = headerLines;
  try {
    for (let count = 1; ; count++) {
      const parsed = await next(records);
      if (parsed === undefined) return;
      const line = before + parsed.info.empty_lines + 1;
      before += linesOf(parsed.record);
      if (count > MAX_ROWS) throw wrong(line, `A file has at most ${MAX_ROWS} rows.`);
      yield rowOf(header, parsed.record, line);
    }
  } finally {
    await records.return?.();
  }
}

function rowOf(header: readonly string[], record: readonly string[], line: number): TableRow {
  if (record.length !== header.length) {
    return { line, cells: {}, detail: `This row has ${record.length} cells, the first one ${header.length}.` };
  }
  const set = header.flatMap((name, i) =>
    shownOnly.includes(name) ? [] : [[name, csvPlain(record[i] ?? "")] as const],
  );
  return { line, cells: Object.fromEntries(set) };
}

function checkHeader(header: readonly string[]): void {
  const known = ["id", "onboarding", ...columnNames];
  const unknown = header.find((name) => !known.includes(name) && !shownOnly.includes(name));
  if (unknown !== undefined) {
    throw wrong(1, `There is no column ${JSON.stringify(unknown.slice(0, 100))}. Columns are: ${known.join(", ")}.`);
  }
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(1, `The column ${twice} is there twice.`);
  if (!header.includes("id") && !header.includes("external_id")) {
    throw wrong(1, "There must be a column id or external_id, by which a row is known again.");
  }
}

const reasons: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "A quote is opened and not closed.",
  CSV_INVALID_CLOSING_QUOTE: "After a closing quote comes neither a comma nor a line's end.",
  INVALID_OPENING_QUOTE: "There is a quote in the middle of a cell that is not quoted.",
  CSV_MAX_RECORD_SIZE: `A row has at most ${MAX_ROW_CHARS} characters.`,
};

async function next(records: AsyncIterator<Parsed>): Promise<Parsed | undefined> {
  try {
    const { done, value } = await records.next();
    return done ? undefined : value;
  } catch (error) {
    const { code, lines } = error as CsvError;
    const reason = typeof code === "string" ? reasons[code] : undefined;
    throw reason === undefined ? error : wrong(Number(lines ?? 1), reason);
  }
}

async function* textOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (part?: Uint8Array) => {
    try {
      return decoder.decode(part, { stream: part !== undefined });
    } catch {
      throw new Fault("invalid", "The file is not in UTF-8.", [{ pointer: "", detail: "The file is not in UTF-8." }]);
    }
  };
  for await (const part of bytes) yield decode(part);
  yield decode();
}

function wrong(line: number, detail: string): Fault {
  return new Fault("invalid", `Line ${line}: ${detail}`, [{ pointer: "", detail: `Line ${line}: ${detail}` }]);
}
