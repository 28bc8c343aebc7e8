/** The counters of the sandbox say what its entries say. They are in no sum of the ledger, and their entries in no bill. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { idsAround } from "./ledger.ts";
import type { Period } from "./period.ts";
import type { ArchiveSeen } from "./verify-archive.ts";

/**
 * Of rows of `usage u`: whether it counts sandbox mail, for its subaccount or one of its credentials. Looked up row by row (`offset 0`): the
 * planner would read the subaccounts of all masters for those of one.
 */
export const countsSandbox = sql<boolean>`(exists (select from subaccount s where s.id = u.account_id and s.sandbox offset 0)
  or exists (select from credential c where c.id = u.account_id offset 0))`;

/** In one snapshot, which a message under way is in, or not. */
export async function verifySandbox(
  db: Db,
  { masterId, period, archive }: Readonly<{ masterId: MasterId; period: Period; archive: ArchiveSeen }>,
  findings: Findings,
): Promise<void> {
  if (!archive.isRead(period)) return; // no sum is kept that could stand for entries in a file
  const ids = idsAround(period);
  const { rows } = await sql<{ id: SubaccountId; used: number; entries: number }>`
    select b.id, b.used, (select coalesce(sum(e.units), 0)::bigint from usage_entry e
        where e.master_id = ${masterId} and e.period_start = ${period.start} and e.subaccount_id = b.id and e.kind = 'sandbox'
          and e.id >= ${ids.from}::uuid and e.id < ${ids.to}::uuid) as entries
      from (select coalesce(c.subaccount_id, u.account_id) as id, sum(u.used)::bigint as used
              from usage u left join lateral (select subaccount_id from credential where id = u.account_id offset 0) c on true
             where u.master_id = ${masterId} and u.period_start = ${period.start} and ${countsSandbox} group by 1) b`.execute(
    db,
  );
  for (const { id, used, entries: live } of rows) {
    const entries = live + archive.sandboxUnits({ masterId, periodStart: period.start, subaccountId: id });
    if (used === entries) continue;
    const detail = `period ${period.start.toISOString()}: its sandbox counters say ${used} units, their entries ${entries}`;
    findings.found({ check: "counters", subject: formatId("sub", id), detail });
  }
}
