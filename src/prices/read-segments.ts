/** Reads what ruled when, of one account or of all of a master. */
import type { Selectable } from "kysely";
import type { Db } from "../platform/database.ts";
import { type AccountId, formatId, type MasterId, type PlanId, type RateCardId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { type TermRow, termsOfColumn } from "./segments.ts";

/** By account, in the order in which they were written; `defaults`: what the master's subaccounts have that have nothing else. */
export type WrittenTerms = Readonly<{ own: ReadonlyMap<AccountId, readonly TermRow[]>; defaults: readonly TermRow[] }>;

/** Of all accounts of a master, itself included, that begin before `until`; of one where it is named, with the defaults. */
export async function readTerms(
  db: Db,
  masterId: MasterId,
  until: Date | null,
  accountId?: AccountId,
): Promise<WrittenTerms> {
  let query = db.selectFrom("price_term").selectAll();
  if (accountId === undefined) query = query.where("master_id", "=", masterId);
  else query = query.where("account_id", "in", [accountId, masterId]);
  if (until !== null) query = query.where("since", "<", until);
  const rows = await query.orderBy("seq").execute();
  const own = new Map<AccountId, TermRow[]>();
  const defaults: TermRow[] = [];
  for (const row of rows) {
    if (row.role === "default") defaults.push(termRowOf(row));
    else if (own.has(row.account_id)) own.get(row.account_id)!.push(termRowOf(row));
    else own.set(row.account_id, [termRowOf(row)]);
  }
  return { own, defaults };
}

function termRowOf(row: Selectable<Schema["price_term"]>): TermRow {
  const { since, source, of_id: id, n, discount_bp: discountBp, terms } = row;
  const of =
    id === null ? null : source === "plan" ? formatId("plan", id as PlanId) : formatId("rat", id as RateCardId);
  return { since, source, of, n, discountBp, terms: terms === null ? null : termsOfColumn(terms) };
}
