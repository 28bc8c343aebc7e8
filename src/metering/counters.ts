/** Usage rows with what belongs beside them. An account that has not sent in a period has no row yet: its terms stand in. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { idsAround } from "./ledger.ts";
import type { Period } from "./period.ts";

export type Counters = Readonly<{
  used: number;
  cap: number | null;
  topUp: number;
  /** Of `used`, paid by credits: part of `cap` once it was spent. */
  creditUsed: number;
  creditsLeft: number;
  masterUsed: number;
  masterCap: number | null;
  refused: number;
  corrections: number;
}>;

export type AskedUsage = Readonly<{ id: SubaccountId; masterId: MasterId; period: Period }>;

/** One entry per subaccount asked for; a subaccount is asked for once. */
export async function readCounters(db: Db, asked: readonly AskedUsage[]): Promise<Map<SubaccountId, Counters>> {
  if (asked.length === 0) return new Map();
  const corrections = await readCorrections(db, asked);
  const { rows } = await sql<Omit<Counters, "corrections"> & { id: SubaccountId }>`
    select k.id, coalesce(u.used, 0) as used,
           case when u.account_id is null then t.cap else u.cap end as cap, coalesce(u.top_up, t.top_up, 0) as "topUp",
           coalesce(u.credit_used, 0) as "creditUsed", credits_left(k.id, pm_now()) as "creditsLeft",
           coalesce(mu.used, 0) as "masterUsed", case when mu.account_id is null then mt.cap else mu.cap end as "masterCap",
           (select coalesce(sum(r.messages), 0)::bigint from refusal r
             where r.subaccount_id = k.id and r.period_start = k.start) as refused
      from unnest(${asked.map((a) => a.id)}::uuid[], ${asked.map((a) => a.masterId)}::uuid[],
                  ${asked.map((a) => a.period.start.toISOString())}::timestamptz[]) as k (id, master_id, start)
      left join usage u on u.account_id = k.id and u.period_start = k.start
      left join lateral usage_terms(k.id, k.start) t on u.account_id is null
      left join usage mu on mu.account_id = k.master_id and mu.period_start = k.start
      left join lateral usage_terms(k.master_id, k.start) mt on mu.account_id is null`.execute(db);
  return new Map(rows.map(({ id, ...row }) => [id, { ...row, corrections: corrections.get(id) ?? 0 }]));
}

async function readCorrections(db: Db, asked: readonly AskedUsage[]): Promise<Map<SubaccountId, number>> {
  const starts = asked.map((a) => a.period.start.getTime());
  const ends = asked.map((a) => a.period.end.getTime());
  const ids = idsAround({ start: new Date(Math.min(...starts)), end: new Date(Math.max(...ends)) });
  const { rows } = await sql<{ subaccount_id: SubaccountId; units: number }>`
    select id as subaccount_id, units
      from corrections_of(${asked.map((a) => a.id)}::uuid[], ${asked.map((a) => a.masterId)}::uuid[],
                          ${asked.map((a) => a.period.start.toISOString())}::timestamptz[], ${ids.from}::uuid, ${ids.to}::uuid)`.execute(
    db,
  );
  return new Map(rows.map((row) => [row.subaccount_id, row.units]));
}

export type MasterCounters = Readonly<{
  used: number;
  cap: number | null;
  base: number | null; // the allowance
  corrections: number;
  creditUsed: number; // of `used`, paid by credits
}>;

export async function readMasterCounters(db: Db, masterId: MasterId, period: Period): Promise<MasterCounters> {
  const ids = idsAround(period);
  const { rows } = await sql<MasterCounters>`
    select coalesce(u.used, 0) as used, coalesce(u.credit_used, 0) as "creditUsed",
           case when u.account_id is null then t.cap else u.cap end as cap,
           case when u.account_id is null then t.base else u.base end as base,
           corrections_of_master(${masterId}, ${period.start}, ${ids.from}::uuid, ${ids.to}::uuid) as corrections
      from (select 1) as one
      left join usage u on u.account_id = ${masterId} and u.period_start = ${period.start}
      left join lateral usage_terms(${masterId}, ${period.start}) t on true`.execute(db);
  return rows[0]!;
}
