/**
 * Every usage row says what the ledger says: `used` is the sum of the accept entries, `top_up` that of the top-ups.
 *
 * Mail goes on while this reads. Entries of the last hour are summed up in the statement that reads the counters, so in
 * one snapshot; where an older entry was committed meanwhile, the account is read again, whole, in one snapshot.
 */
import { sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { sumArchived } from "./kept-sums.ts";
import { addAllSums, idAt, idsAround, type LedgerSum, sumLedger } from "./ledger.ts";
import type { Period } from "./period.ts";
import { rowsIn, type Scope } from "./scope.ts";
import type { ArchiveSeen } from "./verify-archive.ts";
import { countsSandbox, verifySandbox } from "./verify-sandbox.ts";

type Account = Readonly<{ masterId: MasterId; period: Period }>;
type Work = Readonly<{ clock: Clock; archive: ArchiveSeen; findings: Findings }>;

const HOUR_MS = 3_600_000;
const PAGE = 200;

export async function verifyCounters(db: Db, scope: Scope, work: Work): Promise<void> {
  let after: { masterId: string; start: Date } = {
    masterId: BEFORE_ALL,
    start: new Date(0),
  };
  for (;;) {
    const { rows } = await sql<{ masterId: MasterId; start: Date; end: Date }>`
      select distinct on (master_id, period_start) master_id as "masterId", period_start as start, period_end as end
        from usage where ${rowsIn(scope)} and (master_id, period_start) > (${after.masterId}::uuid, ${after.start}::timestamptz)
       order by master_id, period_start limit ${PAGE}`.execute(db);
    for (const { masterId, start, end } of rows) await verifyPeriod(db, { masterId, period: { start, end } }, work);
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

type Compared = {
  accountId: MasterId | SubaccountId;
  used: number | null;
  tail: number;
  topUp: number;
  topUps: number;
};

async function verifyPeriod(db: Db, { masterId, period }: Account, work: Work): Promise<void> {
  const { clock, archive, findings } = work;
  await verifySandbox(db, { masterId, period, archive }, findings);
  const throughId = idAt(clock.now().getTime() - HOUR_MS);
  const archived = await sumArchived(db, { masterId, period });
  const live = await sumLedger(db, { masterId, period, throughId, onSlice: findings.read });
  const sums = addAllSums(live, archived);
  const compared = await readCompared(db, { masterId, period }, throughId);
  const seen = new Set(compared.map(({ accountId }) => accountId));
  for (const [id, { units }] of sums)
    if (units !== 0 && !seen.has(id)) compared.push({ accountId: id, used: null, tail: 0, topUp: 0, topUps: 0 });
  for (const row of compared) {
    const { accountId } = row;
    const summed = unitsOf(sums, { accountId, masterId });
    if (row.topUp !== row.topUps) found(`its row says ${row.topUp} units of top-ups, the top-ups ${row.topUps}`);
    if (row.used === summed + row.tail) continue;
    const { used, live } = await readExactly(db, { masterId, period }, accountId);
    const ledger = live + unitsOf(archived, { accountId, masterId });
    if (used !== ledger)
      found(
        used === null
          ? `has no counter, but the ledger holds ${ledger} units`
          : `its counter says ${used} units, the ledger ${ledger}`,
      );

    function found(detail: string): void {
      const subject = accountId === masterId ? formatId("mas", masterId) : formatId("sub", accountId as SubaccountId);
      findings.found({ check: "counters", subject, detail: `period ${period.start.toISOString()}: ${detail}` });
    }
  }
}

function unitsOf(
  sums: ReadonlyMap<SubaccountId, LedgerSum>,
  { accountId, masterId }: Readonly<{ accountId: MasterId | SubaccountId; masterId: MasterId }>,
): number {
  if (accountId !== masterId) return sums.get(accountId as SubaccountId)?.units ?? 0;
  return [...sums.values()].reduce((units, sum) => units + sum.units, 0);
}

/** Counters, and in the same snapshot what came after `throughId`. */
async function readCompared(db: Db, { masterId, period }: Account, throughId: string): Promise<Compared[]> {
  const ids = idsAround(period);
  const { rows } = await sql<Compared>`
    with tail as materialized (
      select subaccount_id, sum(units)::bigint as units from usage_entry
       where master_id = ${masterId} and period_start = ${period.start} and kind = 'accept'
         and id >= ${ids.from}::uuid and id < ${ids.to}::uuid and id > ${throughId}::uuid
       group by 1
    )
    select coalesce(u.account_id, t.subaccount_id) as "accountId", u.used, coalesce(u.top_up, 0) as "topUp",
           case when u.account_id = ${masterId} then (select coalesce(sum(units), 0)::bigint from tail)
                else coalesce(t.units, 0) end as tail,
           (select coalesce(sum(p.units), 0)::bigint from top_up p
             where p.subaccount_id = u.account_id and p.period_start = u.period_start) as "topUps"
      from (select * from usage u where u.master_id = ${masterId} and u.period_start = ${period.start} and not ${countsSandbox}) u
      full join tail t on t.subaccount_id = u.account_id`.execute(db);
  return rows;
}

async function readExactly(
  db: Db,
  { masterId, period }: Account,
  accountId: MasterId | SubaccountId,
): Promise<{ used: number | null; live: number }> {
  const ids = idsAround(period);
  const { rows } = await sql<{ used: number | null; live: number }>`
    select (select used from usage where account_id = ${accountId} and period_start = ${period.start}) as used,
           (select coalesce(sum(units), 0)::bigint from usage_entry
             where master_id = ${masterId} and period_start = ${period.start} and kind = 'accept'
               and (${accountId}::uuid = ${masterId}::uuid or subaccount_id = ${accountId})
               and id >= ${ids.from}::uuid and id < ${ids.to}::uuid) as live`.execute(db);
  return rows[0]!;
}
