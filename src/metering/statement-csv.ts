/** A statement as a table: one row per subaccount, header first. */
import { csvRow, csvText } from "../platform/csv.ts";
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
    csvText(line.name),
    csvText(line.externalId ?? ""),
    line.monthlyLimit ?? "",
    line.topUp,
    line.messages,
    line.units,
    line.corrections,
    line.units + line.corrections,
  ]);
  return [header, ...rows].map(csvRow).join("");
}
