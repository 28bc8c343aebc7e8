/**
 * Subaccounts with what they have used in the running period: searched, filtered, sorted, page by page.
 *
 * Invariant: narrowed by the principal; each page is one statement. By name or age a page is read from an index; other
 * orders and searches read the master's subaccounts once (a hundred thousand in some tenths of a second).
 */
import { type RawBuilder, sql } from "kysely";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import type { Subaccount } from "./account.ts";
import { findMaster, type SubaccountRow, selectSubaccounts, subaccountOf } from "./find.ts";
import { type Principal, reachOf } from "./principal.ts";
import { behind, type CursorValue, orderBy, type Page, type Sort, type SortColumn } from "./sort.ts";
import { type ShownState, shownStates } from "./states.ts";

export type ListedSubaccount = Subaccount &
  Readonly<{
    /** Units of the running period. */
    used: number;
    topUp: number;
    /** Of limit and top-ups, unrounded; null without a limit, and with a limit of 0. */
    usedPercent: number | null;
  }>;

export type SubaccountFilter = Readonly<{
  /** A part of name, slug, owner's name or e-mail, external id, or of a sender domain. */
  q?: string | undefined;
  states?: readonly ShownState[] | undefined;
  plan?: string | undefined;
  usedPercentGte?: number | undefined;
  /** The master's own too; without it only customers. */
  withOwn?: boolean | undefined;
  /** By name unless told. */
  sort?: readonly Sort<SubaccountSort>[] | undefined;
  after?: readonly CursorValue[] | undefined;
  limit: number;
  /** The operator's choice: one master's. */
  masterId?: MasterId | undefined;
}>;

const used = sql`coalesce(u.used, 0)`;
const cap = sql`coalesce(u.cap, s.monthly_limit)`;
const percent = sql`coalesce(${used}::float8 * 100 / nullif(${cap}, 0), -1)`;

/** Without nulls: where there is no value, or no limit, a value stands in that sorts to its end. */
const columns = {
  name: sql`lower(s.name)`,
  slug: sql`s.slug`,
  created: sql`s.id`,
  updated: sql`floor(extract(epoch from s.updated_at) * 1000)::bigint`,
  state: sql`${shownRank()}`,
  plan: sql`lower(coalesce(s.plan, ''))`,
  external_id: sql`coalesce(s.external_id, '')`,
  owner_name: sql`lower(coalesce(s.owner_name, ''))`,
  owner_email: sql`lower(coalesce(s.owner_email, ''))`,
  region: sql`lower(coalesce(s.region, ''))`,
  monthly_limit: sql`coalesce(s.monthly_limit, 9000000000000000)`,
  used,
  used_percent: percent,
} as const;

export type SubaccountSort = keyof typeof columns;
export const subaccountSorts = Object.keys(columns) as SubaccountSort[];

export async function listSubaccounts(
  db: Db,
  principal: Principal,
  filter: SubaccountFilter,
  clock: Clock,
): Promise<Page<ListedSubaccount>> {
  const reach = reachOf(principal);
  const masterId = reach.masterId ?? filter.masterId ?? null;
  const sorts = sortColumns(filter.sort ?? [{ by: "name", descending: false }]);
  let query = (await withUsage(db, principal, masterId, clock)).limit(filter.limit + 1).orderBy(orderBy(sorts));
  if (reach.subaccountId !== null) query = query.where("s.id", "=", reach.subaccountId);
  if (reach.masterId !== null) query = query.where("s.master_id", "=", reach.masterId);
  if (filter.after !== undefined) query = query.where(behind(sorts, filter.after));
  for (const condition of conditions(filter)) query = query.where(condition);
  const values = sql<CursorValue[]>`jsonb_build_array(${sql.join(sorts.map(({ expression }) => expression))})`;
  const rows = await query.select(values.as("sort_values")).execute();
  const shown = rows.slice(0, filter.limit);
  const next = rows.length > shown.length ? (shown.at(-1)?.sort_values ?? null) : null;
  return { items: shown.map((row) => listed(row, clock.now())), next };
}

function sortColumns(sorts: readonly Sort<SubaccountSort>[]): SortColumn[] {
  const chosen = sorts.map(({ by, descending }) => ({ expression: columns[by], descending }));
  const descending = chosen.at(-1)?.descending ?? false;
  return sorts.some(({ by }) => by === "created") ? chosen : [...chosen, { expression: columns.created, descending }];
}

/** With the usage row of the running period, which one master's subaccounts have in common. */
async function withUsage(db: Db, principal: Principal, masterId: MasterId | null, clock: Clock) {
  const now = clock.now();
  const usage = selectSubaccounts(db).select([sql<number>`${used}`.as("used"), sql<number>`${percent}`.as("percent")]);
  if (masterId === null || principal.kind === "subaccount") {
    const running = sql<boolean>`u.period_start <= ${now} and u.period_end > ${now}`;
    return usage
      .leftJoin("usage as u", (join) => join.onRef("u.account_id", "=", "s.id").on(running))
      .select(sql<number>`coalesce(u.top_up, 0)`.as("top_up"));
  }
  const { start } = periodAt((await findMaster(db, principal, masterId, clock)).calendar, now);
  const running = sql<boolean>`u.period_start = ${start} and u.master_id = ${masterId}`;
  const given = sql`(select sum(t.units)::bigint from top_up t where t.subaccount_id = s.id and t.period_start = ${start})`;
  return usage
    .leftJoin("usage as u", (join) => join.onRef("u.account_id", "=", "s.id").on(running))
    .select(sql<number>`coalesce(u.top_up, ${given}, 0)`.as("top_up"))
    .where("s.master_id", "=", masterId);
}

function conditions(filter: SubaccountFilter): RawBuilder<boolean>[] {
  const all: RawBuilder<boolean>[] = [];
  if (!filter.withOwn) all.push(sql`m.own_subaccount_id <> s.id`);
  if (filter.plan !== undefined) all.push(sql`s.plan = ${filter.plan}`);
  if (filter.states !== undefined) {
    const ranks = filter.states.map((state) => shownStates.indexOf(state));
    all.push(sql`${shownRank()} = any(${ranks}::int[])`);
  }
  if (filter.usedPercentGte !== undefined) all.push(sql`${percent} >= ${filter.usedPercentGte}`);
  if (filter.q !== undefined && filter.q !== "") all.push(contains(filter.q.toLowerCase().replaceAll("\0", "")));
  return all;
}

function contains(q: string): RawBuilder<boolean> {
  return sql`(position(${q}::text in lower(concat_ws(chr(10), s.name, s.slug, s.external_id, s.owner_name, s.owner_email))) > 0
    or s.id in (select d.subaccount_id from sender_domain d where d.master_id = s.master_id and position(${q}::text in d.name) > 0))`;
}

/** states.ts's shownState in SQL: the index in shownStates of the strongest. */
function shownRank(): RawBuilder<number> {
  const rank = (state: ShownState) => sql.lit(shownStates.indexOf(state));
  const flags = (
    row: string,
  ) => sql`case when ${sql.ref(`${row}.suspended_at`)} is not null then ${rank("suspended")} else 0 end,
    case when ${sql.ref(`${row}.expires_at`)} <= pm_now() then ${rank("expired")} else 0 end`;
  const own = sql`array_position(${sql.lit(`{${shownStates.join()}}`)}::text[], s.state) - 1`;
  return sql`greatest(${own}, case when m.state = 'closed' then ${rank("closed")} else 0 end, ${flags("s")}, ${flags("m")})`;
}

function listed(row: SubaccountRow & { used: number; top_up: number; percent: number }, now: Date): ListedSubaccount {
  const usedPercent = row.percent < 0 ? null : row.percent;
  return { ...subaccountOf(row, now), used: row.used, topUp: row.top_up, usedPercent };
}
