/** A statement as a table: one row per subaccount, header first. */
import { csvRow, csvText } from "../platform/csv.ts";
import { formatId } from "../platform/ids.ts";
import { billedUnits, type Statement } from "./statement.ts";

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
  "credits",
  "overage_units",
  "refused",
  "billing_profile",
  "currency",
  "cost_centre",
  "number",
];

export function statementCsv({ number, period, lines, profiles }: Statement): string {
  const known = new Map(profiles.map((profile) => [profile.name, profile]));
  const rows = lines.map((line) => {
    const profile = line.billingProfile === null ? undefined : known.get(line.billingProfile);
    return [
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
      billedUnits(line),
      line.credits,
      line.overageUnits,
      line.refused,
      csvText(line.billingProfile ?? ""),
      profile?.currency ?? "",
      csvText(profile?.costCentre ?? ""),
      number ?? "",
    ];
  });
  return [header, ...rows].map(csvRow).join("");
}
