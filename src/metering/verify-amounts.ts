/** A statement's amounts are what its terms come to, and its terms are those that ruled in its period. */
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import { priceStatement } from "./draft-amounts.ts";
import type { Statement } from "./statement.ts";
import { type AccountPrice, accountPrice, amountRows } from "./statement-amounts.ts";

type Found = (detail: string) => void;

export async function verifyAmounts(db: Db, statement: Statement, found: Found): Promise<void> {
  const { masterId, period, lines } = statement;
  const ruled = await priceStatement(db, statement);
  for (const payer of [{ ...statement, subaccountId: null }, ...lines]) {
    const name = payer.subaccountId === null ? formatId("mas", masterId) : formatId("sub", payer.subaccountId);
    const { price } = payer;
    const reckoned = price === null ? null : (accountPrice(price.segments, period, payer) ?? null);
    if (amountsOf(price) !== amountsOf(reckoned)) {
      found(`it asks ${amountsOf(price)} of ${name}; its terms come to ${amountsOf(reckoned)}`);
    }
    const history = ruled.get(payer.subaccountId ?? masterId) ?? null;
    if (termsOf(price) !== termsOf(history)) found(`its terms of ${name} are not those that ruled`);
  }
}

function amountsOf(price: AccountPrice | null): string {
  const shown = (price?.amounts ?? []).map(
    ({ currency, feeMinor, overageMinor, discountMinor, totalMinor }) =>
      `${feeMinor} + ${overageMinor} - ${discountMinor} = ${totalMinor} ${currency}`,
  );
  return shown.join(", ") || "nothing";
}

/** As they are hashed. */
function termsOf(price: AccountPrice | null): string {
  return JSON.stringify(amountRows(null, price).map((row) => row.at(-1)));
}
