/** Terms and prices by the names of their members at the doors: the same from the API and the command line. */
import { formatId } from "../platform/ids.ts";
import type { Segment } from "./fees.ts";
import type { Price } from "./read-price.ts";
import type { PriceCycle, PriceTerms } from "./terms.ts";

export type ShownTerms = {
  currency: string;
  price_minor: number;
  cycle: PriceCycle;
  included_units: number | null;
  overage_per_1000: string;
  ceiling_minor: number | null;
};

export function shownTerms(terms: PriceTerms): ShownTerms {
  return {
    currency: terms.currency,
    price_minor: terms.priceMinor,
    cycle: terms.cycle,
    included_units: terms.includedUnits,
    overage_per_1000: terms.overagePer1000,
    ceiling_minor: terms.ceilingMinor,
  };
}

export type ShownSegment = ShownTerms & {
  from: string;
  until: string | null;
  source: Segment["source"];
  source_id: string;
  source_version: number;
  discount_bp: number;
};

export function shownSegment({ from, until, source, of, n, discountBp, terms }: Segment): ShownSegment {
  return {
    from: from.toISOString(),
    until: until?.toISOString() ?? null,
    source,
    source_id: of,
    source_version: n,
    discount_bp: discountBp,
    ...shownTerms(terms),
  };
}

export type ShownPrice = {
  rate_card_id: string | null;
  discount_bp: number;
  now: ShownSegment | null;
  next: ShownSegment | null;
  history: ShownSegment[];
  profile_currency: string | null;
};

export function shownPrice({ choice, now, next, history, profileCurrency }: Price): ShownPrice {
  const { rateCardId, discountBp } = choice.now;
  return {
    rate_card_id: rateCardId === null ? null : formatId("rat", rateCardId),
    discount_bp: discountBp,
    now: now && shownSegment(now),
    next: next && shownSegment(next),
    history: history.map(shownSegment),
    profile_currency: profileCurrency,
  };
}
