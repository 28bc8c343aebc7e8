/** Rate cards and what rules by them: what is taken, and how it is shown. Money is whole smallest units, rates are text: nothing is a float. */
import { z } from "@hono/zod-openapi";
import { between, flag } from "../accounts/fields.ts";
import type { PriceChange } from "../prices/choose-price.ts";
import type { RateCard, RateCardVersion } from "../prices/rate-card.ts";
import { shownTerms } from "../prices/shown.ts";
import { priceCycles, priceFields } from "../prices/terms.ts";
import * as field from "./fields.ts";

const minor = field.ruled(z.int(), priceFields.priceMinor.rule);

const currency = field
  .ruled(z.string(), priceFields.currency.rule)
  .openapi({ example: "EUR", description: "ISO 4217." });
const priceMinor = minor.openapi({
  example: 3000,
  description: "Per cycle, in the smallest unit of the currency.",
});
const cycle = z.enum(priceCycles).openapi({ description: "`month`: each period of the account's calendar." });
const includedUnits = field.units
  .nullable()
  .openapi({ example: 10_000, description: "In each period, whatever the cycle; null: all." });
const overage = field.ruled(z.string(), priceFields.overagePer1000.rule).openapi({
  example: "35",
  description: "Of 1,000 units above those, in the smallest unit: exact text like `35`, `0.35` or `1/3`.",
});
const ceiling = minor
  .nullable()
  .openapi({ example: null, description: "What the units above those cost at most in a period; null: no bound." });
const isDefault = field.ruled(z.boolean(), flag).openapi({
  description:
    "Of a master: rules for subaccounts that have neither a card nor a plan with a price, and takes the place of the default before.",
});

const example = {
  name: "Standard",
  currency: "EUR",
  price_minor: 3000,
  cycle: "month",
  included_units: 10_000,
  overage_per_1000: "35",
};

export const newRateCard = z
  .strictObject({
    name: field.line(100).openapi({ example: "Standard" }),
    currency,
    price_minor: priceMinor,
    cycle: cycle.optional().openapi({ description: "`month` (default): each period of the account's calendar." }),
    included_units: includedUnits.optional(),
    overage_per_1000: overage.optional(),
    ceiling_minor: ceiling.optional(),
    is_default: isDefault.optional(),
  })
  .openapi("NewRateCard", { example });

export const rateCardChange = z
  .strictObject({
    price_minor: priceMinor.optional(),
    cycle: cycle.optional(),
    included_units: includedUnits.optional(),
    overage_per_1000: overage.optional(),
    ceiling_minor: ceiling.optional(),
    is_default: isDefault.optional(),
    apply_to_existing: z.boolean().optional().openapi({
      description:
        "The newest version rules from now on for all that have the card, and as the default. Default: false.",
    }),
  })
  .openapi("RateCardChange", { example: { price_minor: 3500, apply_to_existing: true } });

const terms = {
  currency: z.string(),
  price_minor: z.int(),
  cycle,
  included_units: z.int().nullable(),
  overage_per_1000: z.string(),
  ceiling_minor: z.int().nullable(),
};

export const rateCardShape = z
  .strictObject({
    id: field.shownId("rat"),
    master_id: field
      .shownId("mas")
      .nullable()
      .optional()
      .openapi({ description: "Only the operator sees it; null: the operator's own, for masters." }),
    name: z.string(),
    card_version: z.int().openapi({ description: "What an account gets now. Others keep the one they have." }),
    ...terms,
    is_default: z.boolean(),
    default_version: z.int().nullable().openapi({ description: "The version that rules as the default." }),
    withdrawn_at: field.instant.nullable(),
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("RateCard");

export const rateCardVersionShape = z
  .strictObject({
    card_version: z.int(),
    ...terms,
    accounts: z.int().openapi({ description: "To how many it was given; those of the default are not counted." }),
    created_at: field.instant,
  })
  .openapi("RateCardVersion");

export const priceChange = z
  .strictObject({
    rate_card_id: field
      .idField("rat")
      .nullable()
      .optional()
      .openapi({ description: "Null: none of its own. Left out: the one it has, in the version it has." }),
    discount_bp: field.ruled(z.number(), between(0, 10_000)).optional().openapi({
      type: "integer",
      minimum: 0,
      maximum: 10_000,
      example: 500,
      description: "Ten-thousandths that are taken off; left out: as before.",
    }),
    from: z
      .enum(["now", "next_period"])
      .optional()
      .openapi({ description: "`now` (default) calls off what was to come with the next period." }),
  })
  .openapi("PriceChange", { example: { rate_card_id: "rat_01kb2m5xj7e1fr0x4m4f6a0z3q", discount_bp: 500 } });

export const segmentShape = z
  .strictObject({
    from: field.instant,
    until: field.instant.nullable(),
    source: z.enum(["card", "plan", "default"]),
    source_id: z
      .string()
      .openapi({ description: "`rat_...` or `plan_...`", example: "rat_01kb2m5xj7e1fr0x4m4f6a0z3q" }),
    source_version: z.int(),
    discount_bp: z.int(),
    ...terms,
  })
  .openapi("PriceTerms");

export const profileCurrency = z.string().nullable().openapi({
  example: "EUR",
  description:
    "Of the billing profile that the subaccount's bill stands under; null: of none. A plan's price and the default may be in another: such amounts stand on that bill in their own currency.",
});

export const priceShape = z
  .strictObject({
    rate_card_id: field.shownId("rat").nullable().openapi({ description: "That was given to the account." }),
    discount_bp: z.int(),
    now: segmentShape.nullable().openapi({ description: "What rules; null: no price." }),
    next: segmentShape.nullable().openapi({ description: "What is to come." }),
    history: z
      .array(segmentShape)
      .openapi({ description: "Newest first, at most 1,000; in between there was no price." }),
    profile_currency: profileCurrency,
  })
  .openapi("Price");

export function showRateCard(card: RateCard, withMaster: boolean): z.output<typeof rateCardShape> {
  return {
    id: field.showId("rat", card.id),
    ...(withMaster ? { master_id: field.showId("mas", card.masterId) } : {}),
    name: card.name,
    card_version: card.n,
    ...shownTerms(card.terms),
    is_default: card.defaultN !== null,
    default_version: card.defaultN,
    withdrawn_at: field.showInstant(card.withdrawnAt),
    created_at: field.showInstant(card.createdAt),
    updated_at: field.showInstant(card.updatedAt),
  };
}

export function showRateCardVersion({ n, terms: of, accounts, createdAt }: RateCardVersion) {
  return { card_version: n, ...shownTerms(of), accounts, created_at: field.showInstant(createdAt) };
}

/** The members that are given, as the rules name them. */
export function changeOf(body: z.output<typeof priceChange>): PriceChange {
  return { rateCardId: body.rate_card_id, discountBp: body.discount_bp, from: body.from ?? "now" };
}
