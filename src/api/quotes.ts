/** What a change of price or plan would come to. */
import { z } from "@hono/zod-openapi";
import { type Proration, type Quote, quotePrice } from "../metering/quote-price.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { idParams, instant, line, showInstant } from "./fields.ts";
import { changeOf, priceChange, profileCurrency } from "./price-shape.ts";
import { monthlyLimit } from "./subaccount-shape.ts";

const tag = "Prices";
const description =
  "The change is made and rolled back, so it is refused as the change would be; nothing is stored. `due_now_minor` is what the running period's amount moves by if the same change is made in the same second: `proration.amount_minor - proration.credited_minor + overage_change_minor - discount_change_minor`, where the currency stays.";

const quoteRequest = z
  .strictObject({
    ...priceChange.shape,
    plan: line(100).optional().openapi({ example: "Business", description: "The name of a plan of the master." }),
    monthly_limit: monthlyLimit.optional().openapi({ description: "Instead of the plan's." }),
  })
  .openapi("QuoteRequest", { example: { plan: "Business", from: "now" } });

const minor = z.int();
const quoteShape = z
  .strictObject({
    currency: z.string().nullable().openapi({ description: "Null: no price would rule." }),
    value_minor: minor.openapi({ description: "Per cycle, before the discount." }),
    discount_minor: minor,
    price_per_cycle_minor: minor,
    proration: z
      .strictObject({
        from: instant,
        until: instant,
        seconds: z.int(),
        of_seconds: z.int().openapi({ description: "Of the whole cycle." }),
        amount_minor: minor.openapi({ description: "What the new terms ask for that time, before the discount." }),
        credited_minor: minor.openapi({ description: "What the old ones don't ask any more, or give back." }),
        credited_currency: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: "Null: nothing changes within the running period." }),
    overage_change_minor: minor.openapi({ description: "Of the units that were used by now." }),
    discount_change_minor: minor,
    due_now_minor: minor.openapi({ description: "In `currency`; below 0 it is given back." }),
    due: z
      .array(z.strictObject({ currency: z.string(), amount_minor: minor }))
      .openapi({ description: "In each currency that moves." }),
    profile_currency: profileCurrency,
    next_cycle_at: instant.nullable().openapi({ description: "When the price per cycle is next asked whole." }),
  })
  .openapi("Quote");

export function quoteEndpoints({ clock }: Deps): Endpoint[] {
  const one = { method: "post", tag, description, status: 200, answer: quoteShape } as const;
  return [
    endpoint(
      {
        ...one,
        path: "/v1/subaccounts/{id}/quote",
        summary: "What another card, discount or plan of a subaccount would come to",
        access: { who: owners, scopes: [] },
        params: idParams("sub"),
        body: quoteRequest,
      },
      async ({ db, principal, params, body }) => {
        const wanted = { ...changeOf(body), plan: body.plan, monthlyLimit: body.monthly_limit };
        return { body: showQuote(await quotePrice(db, principal, { subaccount: params.id }, wanted, clock)) };
      },
    ),
    endpoint(
      {
        ...one,
        path: "/v1/masters/{id}/quote",
        summary: "What another card or discount of a master would come to",
        access: { who: operatorOnly, scopes: [] },
        params: idParams("mas"),
        body: priceChange,
      },
      async ({ db, principal, params, body }) => ({
        body: showQuote(await quotePrice(db, principal, { master: params.id }, changeOf(body), clock)),
      }),
    ),
  ];
}

function showQuote(quote: Quote): z.output<typeof quoteShape> {
  return {
    currency: quote.currency,
    value_minor: quote.valueMinor,
    discount_minor: quote.discountMinor,
    price_per_cycle_minor: quote.pricePerCycleMinor,
    proration: quote.proration === null ? null : showProration(quote.proration),
    overage_change_minor: quote.overageChangeMinor,
    discount_change_minor: quote.discountChangeMinor,
    due_now_minor: quote.dueNowMinor,
    due: quote.due.map(({ currency, amountMinor }) => ({ currency, amount_minor: amountMinor })),
    profile_currency: quote.profileCurrency,
    next_cycle_at: showInstant(quote.nextCycleAt),
  };
}

function showProration(proration: Proration) {
  return {
    from: showInstant(proration.from),
    until: showInstant(proration.until),
    seconds: proration.seconds,
    of_seconds: proration.ofSeconds,
    amount_minor: proration.amountMinor,
    credited_minor: proration.creditedMinor,
    credited_currency: proration.creditedCurrency,
  };
}
