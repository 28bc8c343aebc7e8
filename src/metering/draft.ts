/** A period's figures and lines from the ledger: the statement to be, or the preview of a period that is not closed. */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { BEFORE_ALL, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { priceStatement } from "./draft-amounts.ts";
import { sumPeriod } from "./kept-sums.ts";
import { EMPTY_SUM, idsAround, type LedgerSum } from "./ledger.ts";
import { COMMITTED_WITHIN_MS } from "./open-period.ts";
import { PAGE } from "./pages.ts";
import type { Period } from "./period.ts";
import {
  addFigures,
  byId,
  NO_FIGURES,
  overageUnits,
  type Seal,
  type Statement,
  type StatementLine,
  type StatementProfile,
  shareOverage,
} from "./statement.ts";
import { type LinePrice, withPrices } from "./statement-amounts.ts";

export type Draft = Omit<Statement, Seal>;

export async function draftStatement(db: Db, masterId: MasterId, period: Period): Promise<Draft> {
  const sums = await sumPeriod(db, { masterId, period });
  const terms = await readTerms(db, masterId, period);
  const unshared = await readLines(db, { masterId, period }, sums);
  const figures = unshared.map((line) => ({ ...line, overageUnits: 0 })).reduce(addFigures, NO_FIGURES);
  const overage = overageUnits({ ...figures, allowance: terms.allowance });
  const lines = shareOverage(overage, unshared);
  const profiles = await readProfiles(db, masterId, lines);
  const draft = { format: 2 as const, masterId, period, ...terms, ...figures, overageUnits: overage, lines, profiles };
  return withPrices(draft, await priceStatement(db, draft));
}

type Account = Readonly<{ masterId: MasterId; period: Period }>;
type Terms = Pick<Draft, "allowance" | "cap" | "overage">;

/** The usage row keeps what was in force in its period. */
async function readTerms(db: Db, masterId: MasterId, period: Period): Promise<Terms> {
  const { rows } = await sql<Terms>`
    select case when u.account_id is null then t.base else u.base end as allowance,
           case when u.account_id is null then t.cap else u.cap end as cap, m.overage
      from master m
      left join usage u on u.account_id = m.id and u.period_start = ${period.start}
      left join lateral usage_terms(m.id, ${period.start}) t on true
     where m.id = ${masterId}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw notFound("master");
  return row;
}

type Unshared = Omit<StatementLine, "overageUnits" | keyof LinePrice>;

/** Everyone who could send in the period, and everyone who did; in order of their ids. */
async function readLines(
  db: Db,
  account: Account,
  sums: ReadonlyMap<SubaccountId, LedgerSum>,
): Promise<readonly Unshared[]> {
  const { masterId } = account;
  const refused = await readRefused(db, account);
  const lines: Unshared[] = [];
  const withSum = ({ present: _, ...facts }: Facts): Unshared => ({
    ...facts,
    ...(sums.get(facts.subaccountId) ?? EMPTY_SUM),
    refused: refused.get(facts.subaccountId) ?? 0,
  });
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await selectFacts(
      account,
      sql`s.master_id = ${masterId} and not s.sandbox and s.id > ${after}::uuid`,
    ).execute(db);
    lines.push(...rows.filter((row) => row.present || sums.has(row.subaccountId)).map(withSum));
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) break;
    after = last.subaccountId;
  }
  const known = new Set(lines.map((line) => line.subaccountId));
  const billed = [...sums].filter(([, { messages, corrections }]) => messages > 0 || corrections !== 0);
  for (const [left] of billed.filter(([id]) => !known.has(id))) {
    // It belongs to another master by now; what it used under this one stays here.
    const { rows } = await selectFacts(account, sql`s.id = ${left}`).execute(db);
    lines.push(...rows.map(withSum));
  }
  return lines.sort(byId);
}

type Facts = Omit<Unshared, keyof LedgerSum | "refused"> & Readonly<{ present: boolean }>;

function selectFacts({ masterId, period }: Account, which: RawBuilder<unknown>): RawBuilder<Facts> {
  return sql`
    select s.id as "subaccountId", s.name, s.external_id as "externalId",
           case when u.account_id is null then s.monthly_limit else u.cap - u.top_up - u.credit_used end as "monthlyLimit",
           coalesce(u.top_up, (select sum(t.units)::bigint from top_up t
                                where t.subaccount_id = s.id and t.period_start = ${period.start}), 0) as "topUp",
           case when u.master_id = ${masterId} then u.credit_used else 0 end as credits,
           coalesce(s.billing_profile, (select p.name from billing_profile p
                                         where p.master_id = ${masterId} and p.is_default)) as "billingProfile",
           s.created_at < ${period.end} and (s.closed_at is null or s.closed_at >= ${period.start} or (
             s.closed_at >= ${new Date(period.start.getTime() - COMMITTED_WITHIN_MS)} and exists (
               select from price_term t where t.account_id = s.id and t.source = 'none' and t.since >= ${period.start}
                  and t.since <= s.closed_at + make_interval(secs => ${COMMITTED_WITHIN_MS / 1000}::float8)))) as present
      from subaccount s left join usage u on u.account_id = s.id and u.period_start = ${period.start}
     where ${which} order by s.id limit ${PAGE}`;
}

/** Messages by subaccount, as far as their counters are written and not yet forgotten. */
async function readRefused(db: Db, { masterId, period }: Account): Promise<ReadonlyMap<SubaccountId, number>> {
  const ids = idsAround(period);
  const { rows } = await sql<{ id: SubaccountId; messages: number }>`
    select subaccount_id as id, sum(messages)::bigint as messages from refusal
     where master_id = ${masterId} and id >= ${ids.from}::uuid and id < ${ids.to}::uuid and period_start = ${period.start}
     group by subaccount_id`.execute(db);
  return new Map(rows.map(({ id, messages }) => [id, messages]));
}

/** Those of the master that the lines name. */
async function readProfiles(
  db: Db,
  masterId: MasterId,
  lines: readonly Pick<StatementLine, "billingProfile">[],
): Promise<StatementProfile[]> {
  const named = new Set(lines.map(({ billingProfile }) => billingProfile));
  if (named.size === 1 && named.has(null)) return [];
  const profiles = await db
    .selectFrom("billing_profile")
    .select(["name", "currency", "cost_centre as costCentre", "address"])
    .where("master_id", "=", masterId)
    .execute();
  return profiles.filter(({ name }) => named.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
}
