/** A period's figures and lines from the ledger: the statement to be, or the preview of a period that is still running. */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { BEFORE_ALL, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { sumPeriod } from "./kept-sums.ts";
import { addSums, EMPTY_SUM, type LedgerSum } from "./ledger.ts";
import type { Period } from "./period.ts";
import type { Statement, StatementLine } from "./statement.ts";

export type Draft = Omit<Statement, "id" | "closedAt" | "linesHash" | "chainHash">;

export async function draftStatement(db: Db, masterId: MasterId, period: Period): Promise<Draft> {
  const sums = await sumPeriod(db, { masterId, period });
  const terms = await readTerms(db, masterId, period);
  const lines = await readLines(db, masterId, period, sums);
  const { messages, units, corrections } = [...sums.values()].reduce(addSums, EMPTY_SUM);
  return { masterId, period, ...terms, messages, units, corrections, lines };
}

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

const PAGE = 1000;

/** Everyone who could send in the period, and everyone who did; in order of their ids. */
async function readLines(
  db: Db,
  masterId: MasterId,
  period: Period,
  sums: ReadonlyMap<SubaccountId, LedgerSum>,
): Promise<StatementLine[]> {
  const lines: StatementLine[] = [];
  const withSum = (row: Facts): StatementLine => ({ ...row, ...(sums.get(row.subaccountId) ?? EMPTY_SUM) });
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await selectFacts(
      period,
      sql`s.master_id = ${masterId} and not s.sandbox and s.id > ${after}::uuid`,
    ).execute(db);
    const relevant = rows.filter((row) => row.present || sums.has(row.subaccountId));
    lines.push(...relevant.map(({ present: _, ...row }) => withSum(row)));
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) break;
    after = last.subaccountId;
  }
  const known = new Set(lines.map((line) => line.subaccountId));
  const billed = [...sums].filter(([, { messages, corrections }]) => messages > 0 || corrections !== 0);
  for (const [left] of billed.filter(([id]) => !known.has(id))) {
    // It belongs to another master by now; what it used under this one stays here.
    const { rows } = await selectFacts(period, sql`s.id = ${left}`).execute(db);
    lines.push(...rows.map(({ present: _, ...row }) => withSum(row)));
  }
  return lines.sort((a, b) => (a.subaccountId < b.subaccountId ? -1 : 1));
}

type Facts = Omit<StatementLine, keyof LedgerSum>;

function selectFacts(period: Period, which: RawBuilder<unknown>): RawBuilder<Facts & { present: boolean }> {
  return sql`
    select s.id as "subaccountId", s.name, s.external_id as "externalId",
           case when u.account_id is null then s.monthly_limit else u.cap - u.top_up - u.credit_used end as "monthlyLimit",
           coalesce(u.top_up, (select sum(t.units)::bigint from top_up t
                                where t.subaccount_id = s.id and t.period_start = ${period.start}), 0) as "topUp",
           s.created_at < ${period.end} and (s.closed_at is null or s.closed_at >= ${period.start}) as present
      from subaccount s left join usage u on u.account_id = s.id and u.period_start = ${period.start}
     where ${which} order by s.id limit ${PAGE}`;
}
