/**
 * Credits against their journal: what a lot has spent is the sum of its entries, what a usage row has had paid by credits is that of its
 * period, no pack has given more than it holds, and no message was paid more than it has units.
 *
 * One statement each, which sees one snapshot: mail that is accepted meanwhile moves both sides together.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { type CreditLotId, type CreditPackId, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { ofMaster, rowsIn, type Scope } from "./scope.ts";

export async function verifyCredits(db: Db, scope: Scope, findings: Findings): Promise<void> {
  const tell: Tell = (subject, detail) => findings.found({ check: "credits", subject, detail });
  if (scope.period === null) await verifyLots(db, scope, findings, tell); // they belong to no period
  await verifyUsage(db, scope, tell);
  await verifyPaid(db, scope, tell);
}

type Tell = (subject: string, detail: string) => void;

async function verifyLots(db: Db, scope: Scope, findings: Findings, tell: Tell): Promise<void> {
  const lots = await sql<{ id: CreditLotId; spent: number; journal: number }>`
    select l.id, l.spent, coalesce(e.units, 0)::bigint as journal from credit_lot l
      left join (select lot_id, sum(units) as units from credit_entry where ${ofMaster(scope)} group by 1) e on e.lot_id = l.id
     where ${ofMaster(scope, "l.master_id")}`.execute(db);
  if (lots.rows.length > 0) findings.read(lots.rows.length);
  for (const { id, spent, journal } of lots.rows) {
    if (spent !== journal) tell(formatId("lot", id), `it says ${spent} units are spent, its journal ${journal}`);
  }
  const packs = await sql<{ id: CreditPackId; units: number; given: number }>`
    select p.id, p.units, sum(l.units)::bigint as given from credit_pack p join credit_lot l on l.pack_id = p.id
     where ${ofMaster(scope, "p.master_id")} group by p.id having sum(l.units) > p.units`.execute(db);
  for (const { id, units, given } of packs.rows)
    tell(formatId("pack", id), `${given} units of its ${units} were given`);
}

async function verifyUsage(db: Db, scope: Scope, tell: Tell): Promise<void> {
  const { rows } = await sql<{ account: string; own: boolean; start: Date; counted: number; journal: number }>`
    select coalesce(u.account_id, j.account_id) as account, coalesce(u.account_id = u.master_id, j.own) as own,
           coalesce(u.period_start, j.period_start) as start, coalesce(u.credit_used, 0) as counted, coalesce(j.units, 0)::bigint as journal
      from (select * from usage where credit_used > 0 and ${rowsIn(scope)}) u
      full join (select subaccount_id as account_id, false as own, period_start, sum(units) as units from credit_entry
                  where ${rowsIn(scope)} group by 1, 3
                 union all
                 select master_id, true, period_start, sum(units) from credit_entry where ${rowsIn(scope)} group by 1, 3) j
        on j.account_id = u.account_id and j.period_start = u.period_start
     where coalesce(u.credit_used, 0) <> coalesce(j.units, 0)`.execute(db);
  for (const { account, own, start, counted, journal } of rows) {
    const subject = own ? formatId("mas", account as MasterId) : formatId("sub", account as SubaccountId);
    tell(
      subject,
      `period ${start.toISOString()}: its row says ${counted} units were paid by credits, the journal ${journal}`,
    );
  }
}

/** Each charge is looked up (`offset 0`): a join might read the ledger of all masters. */
async function verifyPaid(db: Db, scope: Scope, tell: Tell): Promise<void> {
  const over = await sql<{ id: SubaccountId; message: string }>`
    select e.subaccount_id as id, e.message_id as message
      from (select message_id, subaccount_id, sum(units) as units from credit_entry where ${rowsIn(scope)} group by 1, 2) e
      left join lateral (select id, units from usage_entry where id = e.message_id and kind = 'accept' offset 0) u on true
     where (u.id is null or e.units > u.units)
       and not exists (select from ledger_archive a where a.archived and a.month = date_trunc('month', instant_of(e.message_id) at time zone 'UTC')::date)
     limit 1000`.execute(db);
  for (const { id, message } of over.rows) tell(formatId("sub", id), paidTooMuch(message));
}

/** What archived messages were paid is held against the units in their files (verify-archive.ts). */
export const paidTooMuch = (message: string) => `message ${message} was paid more credits than it has units`;
