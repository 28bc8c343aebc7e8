/** The money of a statement on the command line. */
import { hasMoney, shownLinePrice } from "../metering/shown-amounts.ts";
import type { Statement, StatementLine } from "../metering/statement.ts";
import type { AccountPrice, Money } from "../metering/statement-amounts.ts";
import type { Amount } from "../prices/amounts.ts";
import { showMoney } from "../prices/money.ts";
import { table } from "./layout.ts";
import { shape } from "./shape.ts";

export function lineShape({ price, costs, margin, ...line }: StatementLine): object {
  return { ...(shape(line) as object), ...shownLinePrice({ price, costs, margin }) };
}

/** None where nobody has a price. */
export function moneyTables({ price, lines }: Statement): string[] {
  const heads = ["units above", "price", "for those", "discount", "total"];
  const asked = price === null ? [] : [table(["", ...heads], [["the operator asks", ...cellsOf(price)]])];
  if (lines.every(({ price: own }) => own === null)) return asked;
  const rows = lines.filter(hasMoney).map(({ name, price: own, costs, margin }) => {
    return [name, ...cellsOf(own), listed(costs), margin === null ? "-" : listed([margin])];
  });
  return [...asked, table(["subaccount", ...heads, "cost", "margin"], rows)];
}

function cellsOf(price: AccountPrice | null) {
  const of = (member: Exclude<keyof Amount, "currency">) =>
    listed((price?.amounts ?? []).map((amount) => ({ currency: amount.currency, minor: amount[member] })));
  return [price?.unitsAbove, of("feeMinor"), of("overageMinor"), of("discountMinor"), of("totalMinor")];
}

export function listed(all: readonly Money[]): string {
  return all.map(({ currency, minor }) => showMoney(minor, currency)).join(", ");
}
