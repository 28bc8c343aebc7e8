/** A statement as a table: one row per subaccount, header first. */
import { csvRow, csvText } from "../platform/csv.ts";
import { formatId } from "../platform/ids.ts";
import { billedUnits, type Statement } from "./statement.ts";
import type { LinePrice } from "./statement-amounts.ts";

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
  "price_currency",
  "fee_minor",
  "overage_minor",
  "discount_minor",
  "total_minor",
  "cost_currency",
  "cost_minor",
  "margin_minor",
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
      ...moneyOf(line),
    ];
  });
  return [header, ...rows].map(csvRow).join("");
}

/** Of one currency in nearly all cases; where there are more, each column has them in the same order. */
function moneyOf({ price, costs, margin }: LinePrice): (string | number)[] {
  const amounts = price?.amounts ?? [];
  const all = <T>(of: readonly T[], value: (one: T) => string | number) => of.map(value).join(";");
  return [
    all(amounts, (one) => one.currency),
    all(amounts, (one) => one.feeMinor),
    all(amounts, (one) => one.overageMinor),
    all(amounts, (one) => one.discountMinor),
    all(amounts, (one) => one.totalMinor),
    all(costs, (one) => one.currency),
    all(costs, (one) => one.minor),
    margin?.minor ?? "",
  ];
}
