/** The entries of one day (a partition), as those read them who keep its sums and who prove them. */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { idAt, type LedgerSum, sumsOf } from "./ledger.ts";
import { EVERYTHING, rowsIn, type Scope } from "./scope.ts";
import { DAY_MS, eachSlice, type Span, widthFor } from "./slices.ts";

export type Owner = Readonly<{ masterId: MasterId; periodStart: Date; subaccountId: SubaccountId }>;

/** As a key of maps; in order of master, period and subaccount. */
export function ownerKey({ masterId, periodStart, subaccountId }: Owner): string {
  return `${masterId} ${periodStart.toISOString()} ${subaccountId}`;
}

export type OwnerSum = Owner & LedgerSum & Readonly<{ entries: number }>;

/** The span of the ids of a day, `2026-11-01`. */
export function spanOfDay(day: string): Span {
  const fromMs = Date.parse(`${day}T00:00:00Z`);
  return { fromMs, toMs: fromMs + DAY_MS };
}

/** A condition on ids, of a table that is cut into days. */
export function idsOfDay(day: string, column = "id"): RawBuilder<unknown> {
  const { fromMs, toMs } = spanOfDay(day);
  return sql`${sql.ref(column)} >= ${idAt(fromMs)}::uuid and ${sql.ref(column)} < ${idAt(toMs)}::uuid`;
}

export function partitionOf(day: string): string {
  return `usage_entry_${day.replaceAll("-", "")}`;
}

export type DayOptions = Readonly<{
  day: string;
  cuts: Iterable<number>;
  sliceEntries?: number | undefined;
  scope?: Scope;
}>;

/**
 * The sums of each owner, slice by slice: `take` is called once for each of an owner's sums.
 * @param cuts instants (ms) at which a slice ends, so that none reaches over one
 * @param scope left out: of all owners
 */
export async function eachSumOfDay(
  db: Db,
  { day, cuts, sliceEntries, scope = EVERYTHING }: DayOptions,
  take: (sum: OwnerSum, slice: Span) => void,
): Promise<void> {
  const span = spanOfDay(day);
  const ends = [...new Set([...cuts, span.toMs])]
    .filter((ms) => ms > span.fromMs && ms <= span.toMs)
    .sort((a, b) => a - b);
  const spans = ends.map((toMs, i) => ({ fromMs: ends[i - 1] ?? span.fromMs, toMs }));
  const widthMs = widthFor(span, await entriesAbout(db, day), sliceEntries);
  await eachSlice(spans, { widthMs, sliceEntries }, async (slice) => {
    const rows = await readSlice(db, scope, slice);
    for (const row of rows) take(row, slice);
    return rows.reduce((sum, row) => sum + row.entries, 0);
  });
}

const ENTRY_BYTES = 117;

/** By the size of the partition, which is known whether statistics are there or not. */
async function entriesAbout(db: Db, day: string): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select coalesce(pg_relation_size(to_regclass(${partitionOf(day)})), 0) as bytes`.execute(db);
  return (rows[0]?.bytes ?? 0) / ENTRY_BYTES;
}

async function readSlice(db: Db, scope: Scope, { fromMs, toMs }: Span): Promise<OwnerSum[]> {
  const { rows } = await sql<OwnerSum>`
    select master_id as "masterId", period_start as "periodStart", subaccount_id as "subaccountId",
           count(*) as entries, ${sumsOf}
      from usage_entry where ${rowsIn(scope)} and id >= ${idAt(fromMs)}::uuid and id < ${idAt(toMs)}::uuid
     group by master_id, period_start, subaccount_id`.execute(db);
  return rows;
}
