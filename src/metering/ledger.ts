/**
 * Sums of the ledger, read page by page: no statement holds a snapshot for longer than one page takes, since an old
 * snapshot slows acceptance down for everybody.
 *
 * Invariant: of a period that has ended (and was fenced, see metering/close.ts) the sums are exact. Of a running one
 * each entry is counted at most once; entries that commit meanwhile may or may not be in.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Period } from "./period.ts";

/** `units` and `messages` of accept entries; `corrections` is the signed sum of the corrections. */
export type LedgerSum = Readonly<{ messages: number; units: number; corrections: number }>;

export const EMPTY_SUM: LedgerSum = { messages: 0, units: 0, corrections: 0 };

export function addSums(a: LedgerSum, b: LedgerSum): LedgerSum {
  return { messages: a.messages + b.messages, units: a.units + b.units, corrections: a.corrections + b.corrections };
}

const DAY_MS = 86_400_000;

/**
 * Bounds `[from, to)` on the ids of a period's entries: they name the days (partitions) to look into. An entry's id is as
 * old as the start of its upload, a day before acceptance at the very most; `ledger verify` reports entries that lie outside.
 */
export function idsAround(period: Period): { from: string; to: string } {
  return { from: idAt(period.start.getTime() - DAY_MS), to: idAt(period.end.getTime() + DAY_MS) };
}

/** The smallest UUIDv7 of an instant. */
export function idAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

export type LedgerRange = Readonly<{
  masterId: MasterId;
  period: Period;
  /** Only ids up to this one; left out: all. */
  throughId?: string;
  pageEntries?: number;
  onPage?: (entries: number) => void;
}>;

const NIL = "00000000-0000-0000-0000-000000000000";
const LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff";

type PageRow = LedgerSum & { subaccount_id: SubaccountId; entries: number; last: string };

/** The sums of each subaccount that has an entry in the master's period. */
export async function sumLedger(db: Db, range: LedgerRange): Promise<Map<SubaccountId, LedgerSum>> {
  const { masterId, period, throughId = LAST, pageEntries = 20_000, onPage } = range;
  const ids = idsAround(period);
  const sums = new Map<SubaccountId, LedgerSum>();
  let after = { subaccount: NIL, id: NIL };
  for (;;) {
    // usage_entry_by_account is read in its order, over all days at once.
    const { rows } = await sql<PageRow>`
      with page as (
        select subaccount_id, id, units, kind from usage_entry
         where master_id = ${masterId} and period_start = ${period.start}
           and id >= ${ids.from}::uuid and id < ${ids.to}::uuid and id <= ${throughId}::uuid
           and (subaccount_id, id) > (${after.subaccount}::uuid, ${after.id}::uuid)
         order by subaccount_id, id limit ${pageEntries}
      )
      select subaccount_id, count(*) as entries, max(id::text collate "C") as last,
             count(*) filter (where kind = 'accept') as messages,
             coalesce(sum(units) filter (where kind = 'accept'), 0)::bigint as units,
             coalesce(sum(units) filter (where kind = 'correction'), 0)::bigint as corrections
        from page group by subaccount_id order by subaccount_id`.execute(db);
    const entries = rows.reduce((sum, row) => sum + row.entries, 0);
    onPage?.(entries);
    for (const row of rows) sums.set(row.subaccount_id, addSums(sums.get(row.subaccount_id) ?? EMPTY_SUM, row));
    const lastRow = rows.at(-1);
    if (entries < pageEntries || lastRow === undefined) return sums;
    after = { subaccount: lastRow.subaccount_id, id: lastRow.last };
  }
}
