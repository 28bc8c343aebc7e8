/**
 * What an account was billed for, period by period: its own lines of closed statements, and nothing of its master's or siblings' figures.
 *
 * Its master sees them always, the account itself where the master lets it, by the feature `billing_history`. Who has moved keeps what
 * the master before let it see: that stands in the row that stayed there. The new master sees nothing of it, also when it acts for the account.
 */
import { sql } from "kysely";
import type { Subaccount } from "../accounts/account.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { StatementId, SubaccountId } from "../platform/ids.ts";
import type { AccountPrice } from "./statement-amounts.ts";
import { readLineAmounts } from "./stored-amounts.ts";

export type BilledPeriod = Readonly<{
  statementId: StatementId;
  /** Another one than was asked for: what the account was with the master before. */
  subaccountId: SubaccountId;
  start: Date;
  end: Date;
  monthlyLimit: number | null;
  topUp: number;
  messages: number;
  units: number;
  corrections: number; // signed
  credits: number;
  closedAt: Date;
  /** What its master asked of it, and nothing of what it cost; null: it had no price. */
  price: AccountPrice | null;
}>;

export type HistoryFilter = Readonly<{
  /** Of the last one of the page before. */
  after?: readonly [start: string, statementId: string] | undefined;
  limit: number;
}>;

/** Newest first; `limit + 1` rows: the last tells that there is more. @throws Fault forbidden where no master lets the account see it */
export async function listBillingHistory(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  { after, limit }: HistoryFilter,
): Promise<BilledPeriod[]> {
  const rows = await visibleRows(db, principal, subaccount);
  if (rows.length === 0) throw new Fault("forbidden", "The master has not opened the billing history to this account.");
  const older =
    after === undefined ? sql`true` : sql`(t.period_start, t.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`;
  const found = await sql<Omit<BilledPeriod, "price">>`
    select t.id as "statementId", l.subaccount_id as "subaccountId", t.period_start as start, t.period_end as end,
           l.monthly_limit as "monthlyLimit", l.top_up as "topUp", l.messages, l.units, l.corrections, l.credits, t.closed_at as "closedAt"
      from statement_line l join statement t on t.id = l.statement_id
      join subaccount s on s.id = l.subaccount_id and s.master_id = t.master_id
     where l.subaccount_id = any(${rows}::uuid[]) and ${older}
     order by t.period_start desc, t.id desc limit ${limit + 1}`.execute(db);
  const prices = await readLineAmounts(db, found.rows);
  return found.rows.map((row, i) => ({ ...row, price: prices[i] ?? null }));
}

/** The account's rows: this one and those that it was with masters before, each where the principal may see it. */
async function visibleRows(db: Db, principal: Principal, subaccount: Subaccount): Promise<SubaccountId[]> {
  const itself = principal.kind === "subaccount";
  const inPerson = itself ? principal.by === undefined : principal.kind === "operator" || subaccount.own;
  const { rows } = await sql<{ id: SubaccountId }>`
    with recursive been as (
      select id, moved_from, features, true as here from subaccount where id = ${subaccount.id}
      union all
      select s.id, s.moved_from, s.features, false from been b join subaccount s on s.id = b.moved_from where ${inPerson}
    )
    select id from been
     where ${principal.kind === "operator"} or (here and not ${itself}) or features @> '{"billing_history": true}'`.execute(
    db,
  );
  return rows.map(({ id }) => id);
}
