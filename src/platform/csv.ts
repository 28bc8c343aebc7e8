/**
 * Tables for spreadsheets (RFC 4180): CRLF line ends, UTF-8.
 *
 * Invariant: what `csvText` makes harmless, `csvPlain` takes back; every text comes back as it was, also one that looks as if it
 * had been made harmless.
 */

/** Of cells that are safe as they are: numbers, ids, instants, and what `csvText` gives. */
export function csvRow(cells: readonly (string | number)[]): string {
  return `${cells.join(",")}\r\n`;
}

/** A spreadsheet starts a formula at these, also after blanks and in full width (OWASP, CSV injection). */
const FORMULA = /^'*\s*[=+\-@\t\r\n＝＋－＠]/u;

/** Text that others wrote: always quoted, and never taken for a formula by a spreadsheet. */
export function csvText(value: string): string {
  const harmless = FORMULA.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}

/** A cell, without its quotes, as the text that `csvText` was given. */
export function csvPlain(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}
