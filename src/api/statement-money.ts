/** The money on a statement to be printed: what the operator asks, and what each subaccount is asked, costs and leaves. */
import { html } from "hono/html";
import { type InLanguages, inLanguage, type Language, writeCount, writeMoney } from "../letters/language.ts";
import { hasMoney } from "../metering/shown-amounts.ts";
import type { Statement } from "../metering/statement.ts";
import { type AccountPrice, type Money, sumMoney, totalsOf } from "../metering/statement-amounts.ts";
import type { Amount } from "../prices/amounts.ts";

type Words = Readonly<Record<keyof typeof english, string>>;

const english = {
  asked: "What the operator asks",
  prices: "Prices of subaccounts",
  customer: "Subaccount",
  included: "Included units",
  above: "Units above",
  all: "all",
  fee: "Price",
  overage: "For units above",
  discount: "Discount",
  total: "Total",
  cost: "Cost",
  margin: "Margin",
};

const words: InLanguages<Words> = {
  en: english,
  de: {
    asked: "Was der Betreiber berechnet",
    prices: "Preise der Unterkonten",
    customer: "Unterkonto",
    included: "Enthaltene Einheiten",
    above: "Einheiten darüber",
    all: "alle",
    fee: "Preis",
    overage: "Für Einheiten darüber",
    discount: "Rabatt",
    total: "Summe",
    cost: "Kosten",
    margin: "Marge",
  },
};

/** Nothing where nobody has a price. */
export function moneyOf({ price, lines }: Pick<Statement, "price" | "lines">, language: Language) {
  const w = inLanguage(words, language);
  const money = ({ currency, minor }: Money) => writeMoney(minor, currency, language);
  const cell = (all: readonly Money[]) =>
    html`<td class="n">${all.map((one, i) => html`${i === 0 ? "" : html`<br>`}${money(one)}`)}</td>`;
  const cells = (own: AccountPrice | null) => {
    const of = (member: Exclude<keyof Amount, "currency">) =>
      cell((own?.amounts ?? []).map((amount) => ({ currency: amount.currency, minor: amount[member] })));
    const included = own === null ? "" : own.includedUnits === null ? w.all : writeCount(own.includedUnits, language);
    const above = own === null ? "" : writeCount(own.unitsAbove, language);
    return html`<td class="n">${included}</td><td class="n">${above}</td>${of("feeMinor")}${of("overageMinor")}${of("discountMinor")}${of("totalMinor")}`;
  };
  const heads = [w.included, w.above, w.fee, w.overage, w.discount, w.total];
  const head = (first: string, more: readonly string[]) =>
    html`<thead><tr>${first === "" ? html`<td></td>` : html`<th scope="col">${first}</th>`}${[...heads, ...more].map((name) => html`<th scope="col" class="n">${name}</th>`)}</tr></thead>`;
  const asked =
    price === null
      ? ""
      : html`<div class="lines" tabindex="0" role="region" aria-label="${w.asked}"><table>
${head("", [])}
<tbody><tr><th scope="row">${w.asked}</th>${cells(price)}</tr></tbody>
</table></div>`;
  if (lines.every((line) => line.price === null)) return asked;
  const priced = lines.filter(hasMoney);
  const sums = [
    sumMoney(priced.flatMap((line) => totalsOf(line.price))),
    sumMoney(priced.flatMap(({ costs }) => costs)),
    sumMoney(priced.flatMap(({ margin }) => margin ?? [])),
  ];
  return html`${asked}
<div class="lines" tabindex="0" role="region" aria-label="${w.prices}"><table>
${head(w.customer, [w.cost, w.margin])}
<tbody>${priced.map(
    (line) =>
      html`<tr><th scope="row">${line.name}</th>${cells(line.price)}${cell(line.costs)}${cell(line.margin === null ? [] : [line.margin])}</tr>
`,
  )}</tbody>
<tfoot><tr><th scope="row" colspan="6">${w.total}</th>${sums.map(cell)}</tr></tfoot>
</table></div>`;
}
