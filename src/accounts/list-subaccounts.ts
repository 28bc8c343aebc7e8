/**
 * Subaccounts with what they have used in the running period: searched, filtered, sorted, page by page.
 *
 * Invariant: narrowed by the principal; a page's rows, and the values shown of them, come from one statement. An index
 * serves each order of the accounts themselves and each search of three characters or more (migrations/0013). By use, a
 * master with very many has a copy of the order (usage-order.ts); without it the usage rows are asked first which accounts
 * to read. What is left reads a few columns of all the master's subaccounts once.
 */
import { sql } from "kysely";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Master, Subaccount } from "./account.ts";
import { findMaster, type SubaccountRow, selectSubaccounts, subaccountOf } from "./find.ts";
import { mostUsed } from "./most-used.ts";
import { type Principal, reachOf } from "./principal.ts";
import { behind, type CursorValue, orderBy, type Page, type Sort, type SortColumn } from "./sort.ts";
import {
  conditions,
  NO_LIMIT,
  narrows,
  percent,
  remaining,
  type SubaccountSearch,
  shownRank,
  used,
} from "./subaccount-search.ts";
import { isOrdered } from "./usage-order.ts";

export type ListedSubaccount = Subaccount &
  Readonly<{
    /** Units of the running period. */
    used: number;
    topUp: number;
    /** Of limit and top-ups, unrounded; null without a limit, and with a limit of 0. */
    usedPercent: number | null;
  }>;

export type SubaccountFilter = SubaccountSearch &
  Readonly<{
    /** By name unless told. */
    sort?: readonly Sort<SubaccountSort>[] | undefined;
    after?: readonly CursorValue[] | undefined;
    limit: number;
    /** The operator's choice: one master's. */
    masterId?: MasterId | undefined;
  }>;

/** Without nulls: where there is no value, or no limit, a value stands in that sorts to its end. */
const columns = {
  name: sql`lower(s.name)`,
  slug: sql`s.slug`,
  created: sql`s.id`,
  updated: sql`floor(extract(epoch from s.updated_at) * 1000)::bigint`,
  state: shownRank(),
  plan: sql`lower(coalesce(s.plan, ''))`,
  external_id: sql`coalesce(s.external_id, '')`,
  owner_name: sql`lower(coalesce(s.owner_name, ''))`,
  owner_email: sql`lower(coalesce(s.owner_email, ''))`,
  region: sql`lower(coalesce(s.region, ''))`,
  language: sql`lower(coalesce(s.language, ''))`,
  time_zone: sql`lower(coalesce(s.time_zone, ''))`,
  billing_profile: sql`lower(coalesce(s.billing_profile, ''))`,
  accepted_terms: sql`coalesce(s.accepted_terms_at, '-infinity')`,
  expires: sql`coalesce(s.expires_at, 'infinity')`,
  monthly_limit: sql`coalesce(s.monthly_limit, ${sql.lit(NO_LIMIT)})`,
  used,
  used_percent: percent,
  top_up: sql`coalesce(u.top_up, 0)`,
  remaining,
} as const;

export type SubaccountSort = keyof typeof columns;
export const subaccountSorts = Object.keys(columns) as SubaccountSort[];

/** The same of the copy `o`, whose indexes serve them. */
const orderedColumns: Partial<typeof columns> = {
  created: sql`o.account_id`,
  used: sql`o.used`,
  used_percent: sql`o.percent`,
  remaining: sql`o.remaining`,
};
const isByUse = ({ by }: Sort<SubaccountSort>) => by === "used" || by === "used_percent" || by === "remaining";

export async function listSubaccounts(
  db: Db,
  principal: Principal,
  filter: SubaccountFilter,
  clock: Clock,
): Promise<Page<ListedSubaccount>> {
  const reach = reachOf(principal);
  const masterId = reach.masterId ?? filter.masterId ?? null;
  const whole = masterId !== null && principal.kind !== "subaccount";
  const master = whole ? await findMaster(db, principal, masterId, clock) : undefined;
  const byUse = filter.sort?.some(isByUse) === true && !isIndexed(filter);
  const ordered = master !== undefined && byUse && (await isOrdered(db, master, clock));
  const ids = master && !ordered ? await firstByUse(db, master, filter, clock) : undefined;
  let rows = await readPage(db, principal, master, { ...filter, ids, ordered }, clock);
  // Too few of them are what is asked for, or of this master still: its usage stays the master's when an account leaves.
  if (ids !== undefined && rows.length <= filter.limit) rows = await readPage(db, principal, master, filter, clock);
  const shown = rows.slice(0, filter.limit);
  const next = rows.length > shown.length ? (shown.at(-1)?.sort_values ?? null) : null;
  return { items: shown.map((row) => listed(row, clock.now())), next };
}

/** A search that an index serves: it finds few, and sorting those takes less than going through all in their order. */
const isIndexed = ({ q = "" }: SubaccountFilter) => q.length > 2;

/** Of those that used most, how many are looked at for each that is shown, where not all may be shown. */
const LOOKED_AT = 20;

/** Where accounts are asked for by use, highest first: some that stand before all others. Undefined where there are too few. */
async function firstByUse(
  db: Db,
  master: Master,
  filter: SubaccountFilter,
  clock: Clock,
): Promise<SubaccountId[] | undefined> {
  const [sort, ...others] = filter.sort ?? [];
  if (sort === undefined || others.length > 0 || !sort.descending) return undefined;
  if (sort.by !== "used" && sort.by !== "used_percent") return undefined;
  const { withOwn = false, after } = filter;
  if (isIndexed(filter)) return undefined;
  const some = narrows(filter);
  const rows = (filter.limit + 1) * (some ? LOOKED_AT : 1);
  const { start: periodStart } = periodAt(master.calendar, clock.now());
  const ids = await mostUsed(db, master, { periodStart, by: sort.by, withOwn, after, rows });
  return ids.length > filter.limit ? ids : undefined;
}

type PageFilter = SubaccountFilter & Readonly<{ ids?: readonly SubaccountId[] | undefined; ordered?: boolean }>;

/** Which rows, from no more columns than that takes; only then what is shown of them. */
async function readPage(db: Db, principal: Principal, master: Master | undefined, filter: PageFilter, clock: Clock) {
  const sorts = sortColumns(
    filter.sort ?? [{ by: "name", descending: false }],
    filter.ordered ? { ...columns, ...orderedColumns } : columns,
  );
  const keys = sorts.map(({ descending }, n) => ({ expression: sql`${sql.ref(`page.k${n}`)}`, descending }));
  const page = pageOf(db, principal, master, sorts, filter, clock);
  const values = sql<CursorValue[]>`jsonb_build_array(${sql.join(keys.map(({ expression }) => expression))})`;
  return await withUsage(db, master, clock)
    .innerJoin(page.as("page"), "page.id", "s.id")
    .select(values.as("sort_values"))
    .orderBy(orderBy(keys))
    .execute();
}

/** The ids of one page and a row more, each with its sort values `k0`, `k1` and so on. */
function pageOf(
  db: Db,
  principal: Principal,
  master: Master | undefined,
  sorts: readonly SortColumn[],
  filter: PageFilter,
  clock: Clock,
) {
  const reach = reachOf(principal);
  let query = db
    .selectFrom("subaccount as s")
    .innerJoin("master as m", "m.id", "s.master_id")
    .leftJoin("usage as u", (join) => join.onRef("u.account_id", "=", "s.id").on(running(master, clock)))
    .select("s.id")
    .select(sorts.map(({ expression }, n) => expression.as(`k${n}`)))
    .orderBy(orderBy(sorts))
    .limit(filter.limit + 1);
  if (master !== undefined) query = query.where("s.master_id", "=", master.id);
  if (filter.ordered) {
    query = query.innerJoin("usage_order as o", (join) =>
      join.onRef("o.account_id", "=", "s.id").onRef("o.master_id", "=", "s.master_id"),
    ) as unknown as typeof query;
  }
  if (reach.subaccountId !== null) query = query.where("s.id", "=", reach.subaccountId);
  if (reach.masterId !== null) query = query.where("s.master_id", "=", reach.masterId);
  if (filter.ids !== undefined) query = query.where(sql<boolean>`s.id = any(${[...filter.ids]}::uuid[])`);
  if (filter.after !== undefined) query = query.where(behind(sorts, filter.after));
  for (const condition of conditions(filter, master)) query = query.where(condition);
  return query;
}

function sortColumns(sorts: readonly Sort<SubaccountSort>[], of: typeof columns): SortColumn[] {
  const chosen = sorts.map(({ by, descending }) => ({ expression: of[by], descending }));
  const descending = chosen.at(-1)?.descending ?? false;
  return sorts.some(({ by }) => by === "created") ? chosen : [...chosen, { expression: of.created, descending }];
}

/** Of usage rows `u`: of the running period, which one master's subaccounts have in common. */
function running(master: Master | undefined, clock: Clock) {
  const now = clock.now();
  if (master === undefined) return sql<boolean>`u.period_start <= ${now} and u.period_end > ${now}`;
  return sql<boolean>`u.period_start = ${periodAt(master.calendar, now).start} and u.master_id = ${master.id}`;
}

/** With the usage row of the running period. */
function withUsage(db: Db, master: Master | undefined, clock: Clock) {
  const start = master && periodAt(master.calendar, clock.now()).start;
  const given =
    start === undefined
      ? sql`0`
      : sql`(select sum(t.units)::bigint from top_up t where t.subaccount_id = s.id and t.period_start = ${start})`;
  return selectSubaccounts(db)
    .leftJoin("usage as u", (join) => join.onRef("u.account_id", "=", "s.id").on(running(master, clock)))
    .select([sql<number>`${used}`.as("used"), sql<number>`${percent}`.as("percent")])
    .select(sql<number>`coalesce(u.top_up, ${given}, 0)`.as("top_up"));
}

function listed(row: SubaccountRow & { used: number; top_up: number; percent: number }, now: Date): ListedSubaccount {
  const usedPercent = row.percent < 0 ? null : row.percent;
  return { ...subaccountOf(row, now), used: row.used, topUp: row.top_up, usedPercent };
}
