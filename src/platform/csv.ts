/** Tables for spreadsheets (RFC 4180): CRLF line ends, UTF-8. */

/** Of cells that are safe as they are: numbers, ids, instants, and what `csvText` gives. */
export function csvRow(cells: readonly (string | number)[]): string {
  return `${cells.join(",")}\r\n`;
}

/**
 * Text that others wrote: always quoted, and never taken for a formula by a spreadsheet, which starts one at `=`, `+`,
 * `-`, `@`, a tab or a line break, also after blanks and in full width (OWASP, CSV injection).
 */
export function csvText(value: string): string {
  const harmless = /^\s*[=+\-@\t\r\n＝＋－＠]/u.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}
