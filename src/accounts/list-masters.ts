/** Masters, for the operator: searched, filtered, sorted, page by page. */
import { type RawBuilder, sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { Master } from "./account.ts";
import { masterOf } from "./find.ts";
import { requireOperator } from "./permit.ts";
import { type Principal, reachOf } from "./principal.ts";
import { behind, type CursorValue, orderBy, type Page, type Sort } from "./sort.ts";
import type { MasterState } from "./states.ts";

export type MasterFilter = Readonly<{
  /** A part of the name. */
  q?: string | undefined;
  states?: readonly MasterState[] | undefined;
  /** By age, the oldest first, unless told. */
  sort?: readonly Sort<MasterSort>[] | undefined;
  after?: readonly CursorValue[] | undefined;
  limit: number;
}>;

const columns = {
  name: sql`lower(name)`,
  created: sql`id`,
  allowance: sql`coalesce(allowance, 9000000000000000)`,
} as const;

export type MasterSort = keyof typeof columns;
export const masterSorts = Object.keys(columns) as MasterSort[];

/** The strongest first, as in states.ts. */
const shown = sql`case when state = 'closed' then 'closed' when suspended_at is not null then 'suspended'
                       when expires_at <= pm_now() then 'expired' else 'active' end`;

/** The operator who acts for a master sees that one, and none who acts for a subaccount. @throws Fault forbidden */
export async function listMasters(
  db: Db,
  principal: Principal,
  filter: MasterFilter,
  clock: Clock,
): Promise<Page<Master>> {
  requireOperator(principal);
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) return { items: [], next: null };
  const chosen = (filter.sort ?? []).map(({ by, descending }) => ({ expression: columns[by], descending }));
  const sorts = [...chosen, { expression: columns.created, descending: chosen.at(-1)?.descending ?? false }];
  const values = sql<CursorValue[]>`jsonb_build_array(${sql.join(sorts.map(({ expression }) => expression))})`;
  let query = db
    .selectFrom("master")
    .selectAll()
    .select(values.as("sort_values"))
    .orderBy(orderBy(sorts))
    .limit(filter.limit + 1);
  if (masterId !== null) query = query.where("id", "=", masterId);
  const conditions: RawBuilder<boolean>[] = [];
  if (filter.after !== undefined) conditions.push(behind(sorts, filter.after));
  if (filter.states !== undefined) conditions.push(sql`${shown} = any(${[...filter.states]})`);
  if (filter.q !== undefined) conditions.push(sql`position(${filter.q.toLowerCase()} in lower(name)) > 0`);
  for (const condition of conditions) query = query.where(condition);
  const rows = await query.execute();
  const items = rows.slice(0, filter.limit);
  const next = rows.length > items.length ? (items.at(-1)?.sort_values ?? null) : null;
  return { items: items.map((row) => masterOf(row, clock.now())), next };
}
