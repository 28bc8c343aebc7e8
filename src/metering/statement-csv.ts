/** A statement as a table (RFC 4180): one row per subaccount, header first, CRLF line ends, UTF-8. */
import { formatId } from "../platform/ids.ts";
import type { Statement } from "./statement.ts";

const header = [
  "period_start",
  "period_end",
  "subaccount_id",
  "name",
  "external_id",
  "monthly_limit",
  "top_up",
  "messages",
  "units",
  "corrections",
  "billed",
];

export function statementCsv({ period, lines }: Statement): string {
  const rows = lines.map((line) => [
    period.start.toISOString(),
    period.end.toISOString(),
    formatId("sub", line.subaccountId),
    text(line.name),
    text(line.externalId ?? ""),
    line.monthlyLimit ?? "",
    line.topUp,
    line.messages,
    line.units,
    line.corrections,
    line.units + line.corrections,
  ]);
  return [header, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/**
 * Text that others wrote: always quoted, and never taken for a formula by a spreadsheet, which starts one at `=`, `+`,
 * `-`, `@`, a tab or a line break, also after blanks and in full width (OWASP, CSV injection).
 */
function text(value: string): string {
  const harmless = /^\s*[=+\-@\t\r\n＝＋－＠]/u.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}
