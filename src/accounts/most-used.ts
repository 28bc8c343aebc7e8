/**
 * Which subaccounts of a master have used most, from the usage rows alone: of a hundred thousand the accounts themselves
 * are read only for the page that is shown.
 *
 * Invariant: what is found stands before every account that is not; a page that can't be filled so is not found here.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";
import type { Master } from "./account.ts";
import { behind, type CursorValue, orderBy, type SortColumn } from "./sort.ts";

export type MostUsedPage = Readonly<{
  periodStart: Date;
  by: "used" | "used_percent";
  withOwn: boolean;
  after?: readonly CursorValue[] | undefined;
  rows: number;
}>;

/** Of limit and top-ups; statistics `usage_percent` are of the same expression. */
export const percentOfCap = sql`u.used::float8 * 100 / nullif(u.cap, 0)`;

/** `rows` ids, highest first; fewer when accounts without any use, or without a limit, belong to the page too. */
export async function mostUsed(db: Db, master: Master, page: MostUsedPage): Promise<SubaccountId[]> {
  const value = page.by === "used" ? sql`u.used` : percentOfCap;
  const columns: SortColumn[] = [value, sql`u.account_id`].map((expression) => ({ expression, descending: true }));
  const hidden = page.withOwn ? [master.id] : [master.id, master.ownSubaccountId];
  const further = page.after === undefined ? sql`` : sql`and ${behind(columns, page.after)}`;
  const { rows } = await sql<{ id: SubaccountId }>`
    select u.account_id as id from usage u
     where u.master_id = ${master.id} and u.period_start = ${page.periodStart} and u.account_id <> all(${hidden}::uuid[])
       and ${value} > 0 ${further}
     order by ${orderBy(columns)} limit ${page.rows}`.execute(db);
  return rows.map(({ id }) => id);
}
