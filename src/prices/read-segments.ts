/** Reads what ruled when, of some accounts of a master. */
import type { Selectable } from "kysely";
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { type AccountId, formatId, type MasterId, type PlanId, type RateCardId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { type TermRow, termsOfColumn } from "./segments.ts";

/** By account, in the order in which they were written; `defaults`: what the master's subaccounts have that have nothing else. */
export type WrittenTerms = Readonly<{ own: ReadonlyMap<AccountId, readonly TermRow[]>; defaults: readonly TermRow[] }>;

/** Of these accounts, that begin before `until`, and the master's defaults. A history only grows: ask for some accounts at a time. */
export async function readTerms(
  db: Db,
  masterId: MasterId,
  accounts: readonly AccountId[],
  until: Date | null,
): Promise<WrittenTerms> {
  let query = db
    .selectFrom("price_term")
    .selectAll()
    .where((eb) => eb("account_id", "=", sql<AccountId>`any(${[...accounts, masterId]}::uuid[])`));
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
