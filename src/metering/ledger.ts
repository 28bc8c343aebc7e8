/**
 * Sums of the ledger, from its entries alone.
 *
 * Invariant: of a period that has ended (and was fenced, see metering/close.ts) the sums are exact. Of a running one
 * each entry is counted at most once; entries that commit meanwhile may or may not be in.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { Period } from "./period.ts";
import { DAY_MS, eachSlice, type Span, widthFor } from "./slices.ts";

/** `units` and `messages` of accept entries; `corrections` is the signed sum of the corrections. */
export type LedgerSum = Readonly<{ messages: number; units: number; corrections: number }>;

export const EMPTY_SUM: LedgerSum = { messages: 0, units: 0, corrections: 0 };

export function addSums(a: LedgerSum, b: LedgerSum): LedgerSum {
  return { messages: a.messages + b.messages, units: a.units + b.units, corrections: a.corrections + b.corrections };
}

/** Both, account by account. */
export function addAllSums<Id>(a: ReadonlyMap<Id, LedgerSum>, b: ReadonlyMap<Id, LedgerSum>): Map<Id, LedgerSum> {
  const sums = new Map(a);
  for (const [id, sum] of b) sums.set(id, addSums(sums.get(id) ?? EMPTY_SUM, sum));
  return sums;
}

/**
 * The instants of the ids of a period's entries: they name the days (partitions) to look into. An entry's id is as
 * old as the start of its upload, a day before acceptance at the very most; `ledger verify` reports entries that lie outside.
 */
export function spanOf(period: Period): Span {
  return { fromMs: period.start.getTime() - DAY_MS, toMs: period.end.getTime() + DAY_MS };
}

/** The same as bounds `[from, to)` on ids. */
export function idsAround(period: Period): { from: string; to: string } {
  const { fromMs, toMs } = spanOf(period);
  return { from: idAt(fromMs), to: idAt(toMs) };
}

/** The smallest UUIDv7 of an instant. */
export function idAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

export type LedgerRange = Readonly<{
  masterId: MasterId;
  period: Period;
  /** Only these parts of it; left out: all. */
  spans?: readonly Span[];
  /** Only ids up to this one; left out: all. */
  throughId?: string;
  /** About so many in one statement. */
  sliceEntries?: number;
  onSlice?: (entries: number) => void;
}>;

const LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/**
 * The sums of each subaccount that has an entry in the master's period.
 *
 * Slices follow the time in the ids, as the entries lie on the disk: to read them account by account would fetch each from
 * a place of its own. Their width comes from the counter, and from how many the last one held.
 */
export async function sumLedger(db: Db, range: LedgerRange): Promise<Map<SubaccountId, LedgerSum>> {
  const { masterId, period, spans = [spanOf(period)], sliceEntries, onSlice } = range;
  const sums = new Map<SubaccountId, LedgerSum>();
  const widthMs = widthFor(spanOf(period), await countedUnits(db, masterId, period), sliceEntries);
  await eachSlice(spans, { widthMs, sliceEntries }, async (slice) => {
    const rows = await readSlice(db, range, slice);
    const entries = rows.reduce((sum, row) => sum + row.entries, 0);
    onSlice?.(entries);
    for (const row of rows) sums.set(row.subaccount_id, addSums(sums.get(row.subaccount_id) ?? EMPTY_SUM, row));
    return entries;
  });
  return sums;
}

/** What the counter says, as a hint of how many entries there are. */
export async function countedUnits(db: Db, accountId: AccountId, { start }: Period): Promise<number> {
  const row = await db
    .selectFrom("usage")
    .select("used")
    .where("account_id", "=", accountId)
    .where("period_start", "=", start)
    .executeTakeFirst();
  return row?.used ?? 0;
}

/** Columns of a LedgerSum, over rows of usage_entry. */
export const sumsOf = sql`count(*) filter (where kind = 'accept') as messages,
  coalesce(sum(units) filter (where kind = 'accept'), 0)::bigint as units,
  coalesce(sum(units) filter (where kind = 'correction'), 0)::bigint as corrections`;

type SliceRow = LedgerSum & { subaccount_id: SubaccountId; entries: number };

async function readSlice(db: Db, range: LedgerRange, { fromMs, toMs }: Span): Promise<SliceRow[]> {
  const { masterId, period, throughId = LAST } = range;
  const { rows } = await sql<SliceRow>`
    select subaccount_id, count(*) as entries, ${sumsOf}
      from usage_entry
     where master_id = ${masterId} and period_start = ${period.start}
       and id >= ${idAt(fromMs)}::uuid and id < ${idAt(toMs)}::uuid and id <= ${throughId}::uuid
     group by subaccount_id`.execute(db);
  return rows;
}
