/** Amounts by the names of their members at the doors: the same from the API and the command line. */
import { type ShownSegment, shownSegment } from "../prices/shown.ts";
import type { Statement } from "./statement.ts";
import { type AccountPrice, type LinePrice, type Money, sumMoney, totalsOf } from "./statement-amounts.ts";

export type ShownMoney = { currency: string; amount_minor: number };

export type ShownAmount = {
  currency: string;
  fee_minor: number;
  overage_minor: number;
  discount_minor: number;
  total_minor: number;
};

export type ShownAmounts = { included_units: number | null; units_above: number; amounts: ShownAmount[] };

export type ShownPrice = ShownAmounts & { terms: ShownSegment[] };

export function shownPrice(price: AccountPrice | null): ShownPrice | null {
  return price === null ? null : { ...shownAmounts(price), terms: price.segments.map(shownSegment) };
}

/** As who pays it sees it: cards and plans are the seller's own. */
export function shownAmounts({ includedUnits, unitsAbove, amounts }: AccountPrice): ShownAmounts {
  return {
    included_units: includedUnits,
    units_above: unitsAbove,
    amounts: amounts.map((amount) => ({
      currency: amount.currency,
      fee_minor: amount.feeMinor,
      overage_minor: amount.overageMinor,
      discount_minor: amount.discountMinor,
      total_minor: amount.totalMinor,
    })),
  };
}

export function shownLinePrice({ price, costs, margin }: LinePrice) {
  return {
    price: shownPrice(price),
    costs: costs.map(shownMoney),
    margin: margin === null ? null : shownMoney(margin),
  };
}

/** Whether a line has a place in a table of money: by its price, or by what it costs. */
export function hasMoney({ price, costs }: LinePrice): boolean {
  return price !== null || costs.some(({ minor }) => minor !== 0);
}

/** Of lines together: what they are asked, what they cost, and the sum of the margins that there are. */
export function shownSums(lines: Statement["lines"]) {
  return {
    revenue: sumMoney(lines.flatMap(({ price }) => totalsOf(price))).map(shownMoney),
    costs: sumMoney(lines.flatMap(({ costs }) => costs)).map(shownMoney),
    margins: sumMoney(lines.flatMap(({ margin }) => margin ?? [])).map(shownMoney),
  };
}

export function shownMoney({ currency, minor }: Money): ShownMoney {
  return { currency, amount_minor: minor };
}
