/** Amounts in answers: whole smallest units of their currency. */
import { z } from "@hono/zod-openapi";
import { segmentShape } from "./price-shape.ts";

export const money = z.strictObject({ currency: z.string().openapi({ example: "EUR" }), amount_minor: z.int() });

const amountMembers = {
  included_units: z.int().nullable().openapi({ description: "Null: all." }),
  units_above: z.int(),
  amounts: z
    .array(
      z.strictObject({
        currency: z.string(),
        fee_minor: z.int().openapi({ description: "Below 0: more was given back than asked." }),
        overage_minor: z.int(),
        discount_minor: z.int(),
        total_minor: z.int().openapi({ description: "fee + overage - discount" }),
      }),
    )
    .openapi({ description: "One for each currency, in its smallest unit." }),
};

/** To who pays. */
export const billedPrice = z
  .strictObject(amountMembers)
  .openapi("BilledPrice", { description: "For `billed` less `credits`." });

/** To who sells. */
export const accountPrice = z
  .strictObject({
    ...amountMembers,
    terms: z.array(segmentShape).openapi({ description: "What ruled in the period, or ended with its start." }),
  })
  .openapi("StatementPrice", { description: "For `billed` less `credits`; kept with its terms, and in the hash." });

/** What a line may say: 48,227 units less 500 of credits. */
export const exampleAmounts = {
  included_units: 10_000,
  units_above: 37_727,
  amounts: [{ currency: "EUR", fee_minor: 3000, overage_minor: 1320, discount_minor: 0, total_minor: 4320 }],
};

const exampleTerms = {
  ...{ from: "2026-10-05T09:30:00.000Z", until: null, source: "card" as const },
  ...{ source_id: "rat_01kb2m5xj7e1fr0x4m4f6a0z3q", source_version: 1, discount_bp: 0 },
  ...{ currency: "EUR", price_minor: 3000, cycle: "month" as const, included_units: 10_000 },
  ...{ overage_per_1000: "35", ceiling_minor: null },
};

const euros = (amount_minor: number) => ({ currency: "EUR", amount_minor });

export const exampleLineMoney = {
  price: { ...exampleAmounts, terms: [exampleTerms] },
  costs: [euros(2900)],
  margin: euros(1420),
};

export const exampleSums = { revenue: [euros(4320)], costs: [euros(2900)], margins: [euros(1420)] };
