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
