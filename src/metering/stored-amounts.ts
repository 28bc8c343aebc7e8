/** A statement's amounts with their terms, as rows: written once, when it is closed. */
import { type Selectable, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, StatementId, SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { FrozenTerms } from "../platform/schema-prices.ts";
import { type Amount, priceOf } from "../prices/amounts.ts";
import type { Segment } from "../prices/fees.ts";
import { termsOfColumn } from "../prices/segments.ts";
import type { Draft } from "./draft.ts";
import { pagesOf } from "./pages.ts";
import type { Period } from "./period.ts";
import { type AccountPrice, type Money, paidUnits } from "./statement-amounts.ts";

export async function storeAmounts(trx: Db, id: StatementId, { price, lines }: Draft): Promise<void> {
  await storePage(trx, id, [{ subaccountId: null, price }]);
  for (const page of pagesOf(lines)) await storePage(trx, id, page);
}

type Payer = Readonly<{ subaccountId: SubaccountId | null; price: AccountPrice | null }>;

async function storePage(trx: Db, id: StatementId, payers: readonly Payer[]): Promise<void> {
  const rows = payers.flatMap(({ subaccountId, price: own }) =>
    (own?.amounts ?? []).map((amount) => ({ subaccountId, amount, terms: JSON.stringify(own!.segments.map(frozen)) })),
  );
  if (rows.length === 0) return;
  const of = <T>(value: (row: (typeof rows)[number]) => T) => rows.map(value);
  await sql`
    insert into statement_amount (statement_id, subaccount_id, currency, fee_minor, overage_minor, discount_minor, total_minor, terms)
    select ${id}::uuid, * from unnest(${of((r) => r.subaccountId)}::uuid[], ${of((r) => r.amount.currency)}::text[],
      ${of((r) => r.amount.feeMinor)}::bigint[], ${of((r) => r.amount.overageMinor)}::bigint[],
      ${of((r) => r.amount.discountMinor)}::bigint[], ${of((r) => r.amount.totalMinor)}::bigint[],
      ${of((r) => r.terms)}::jsonb[])`.execute(trx);
}

type Paid = Readonly<{ units: number; corrections: number; credits: number }>;
type Closed = Paid &
  Readonly<{ masterId: MasterId; period: Period; lines: readonly (Paid & Readonly<{ subaccountId: SubaccountId }>)[] }>;

/** As they were closed; how many units were included follows from the terms. */
export async function readAmounts(
  db: Db,
  id: StatementId,
  statement: Closed,
): Promise<ReadonlyMap<MasterId | SubaccountId, AccountPrice>> {
  const rows = await db
    .selectFrom("statement_amount")
    .selectAll()
    .where("statement_id", "=", id)
    .orderBy("currency")
    .execute();
  if (rows.length === 0) return new Map();
  const paid = new Map<MasterId | SubaccountId, Paid>(statement.lines.map((line) => [line.subaccountId, line]));
  paid.set(statement.masterId, statement);
  const byPayer = Map.groupBy(rows, (row) => row.subaccount_id ?? statement.masterId);
  const nothing = { units: 0, corrections: 0, credits: 0 };
  const priced = [...byPayer].map(([payer, own]) => {
    return [payer, priceOfRows(own, statement.period, paid.get(payer) ?? nothing)] as const;
  });
  return new Map(priced);
}

/** What each of these asks of the master. */
export async function readTotals(db: Db, ids: readonly StatementId[]): Promise<ReadonlyMap<StatementId, Money[]>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("statement_amount")
    .select(["statement_id", "currency", "total_minor as minor"])
    .where("statement_id", "in", ids)
    .where("subaccount_id", "is", null)
    .orderBy("currency")
    .execute();
  const of = Map.groupBy(rows, (row) => row.statement_id);
  return new Map([...of].map(([id, own]) => [id, own.map(({ currency, minor }) => ({ currency, minor }))]));
}

type BilledLine = Paid & Readonly<{ statementId: StatementId; subaccountId: SubaccountId; start: Date; end: Date }>;

/** What these lines of several statements were asked, in their order; null: nothing. */
export async function readLineAmounts(db: Db, lines: readonly BilledLine[]): Promise<(AccountPrice | null)[]> {
  const statements = [...new Set(lines.map(({ statementId }) => statementId))];
  const accounts = [...new Set(lines.map(({ subaccountId }) => subaccountId))];
  if (lines.length === 0) return [];
  const rows = await db
    .selectFrom("statement_amount")
    .selectAll()
    .where("statement_id", "in", statements)
    .where("subaccount_id", "in", accounts)
    .orderBy("currency")
    .execute();
  const of = Map.groupBy(rows, (row) => `${row.statement_id} ${row.subaccount_id}`);
  return lines.map((line) => {
    const own = of.get(`${line.statementId} ${line.subaccountId}`);
    return own === undefined ? null : priceOfRows(own, line, line);
  });
}

type Row = Selectable<Schema["statement_amount"]>;

function priceOfRows(rows: readonly Row[], period: Period, paid: Paid): AccountPrice {
  const segments = (rows[0]?.terms ?? []).map(thawed);
  const { includedUnits, overageUnits: unitsAbove } = priceOf(segments, period, paidUnits(paid));
  const amounts = rows.map((row): Amount => {
    const { currency, fee_minor: feeMinor, overage_minor: overageMinor } = row;
    return { currency, feeMinor, overageMinor, discountMinor: row.discount_minor, totalMinor: row.total_minor };
  });
  return { segments, includedUnits, unitsAbove, amounts };
}

function frozen({ from, until, source, of, n, discountBp, terms }: Segment): FrozenTerms {
  return {
    from: from.toISOString(),
    until: until?.toISOString() ?? null,
    source,
    of,
    n,
    discount_bp: discountBp,
    currency: terms.currency,
    price_minor: terms.priceMinor,
    cycle: terms.cycle,
    included_units: terms.includedUnits,
    overage_per_1000: terms.overagePer1000,
    ceiling_minor: terms.ceilingMinor,
  };
}

function thawed({ from, until, source, of, n, discount_bp: discountBp, ...terms }: FrozenTerms): Segment {
  const span = { from: new Date(from), until: until === null ? null : new Date(until) };
  return { ...span, source, of, n, discountBp, terms: termsOfColumn(terms) };
}
