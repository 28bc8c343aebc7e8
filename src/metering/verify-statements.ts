/**
 * Every statement says what the ledger and the journal of credits say, its lines share its overage as they must, its amounts are what its
 * terms come to, its hashes are those of its figures, and the statements of a master follow one another without a gap, numbered, each
 * chained to the one before; none is left out.
 *
 * What nothing else remembers (names, limits, refusals, billing profiles) is proven by the hash alone.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { sumArchived } from "./kept-sums.ts";
import { addAllSums, EMPTY_SUM, type LedgerSum, sumLedger } from "./ledger.ts";
import { readClosed, type StatementRow } from "./read-statement.ts";
import { isPart, rowsIn, type Scope } from "./scope.ts";
import {
  addFigures,
  CHAIN_START,
  hashChain,
  hashLines,
  NO_FIGURES,
  type Statement,
  shareOverage,
} from "./statement.ts";
import { verifyAmounts } from "./verify-amounts.ts";

const PAGE = 200;

type Found = (detail: string) => void;

export async function verifyStatements(db: Db, scope: Scope, findings: Findings): Promise<void> {
  let before = await readBefore(db, scope);
  for (;;) {
    const rows = await readPage(db, scope, before);
    for (const row of rows) {
      const statement = await readClosed(db, row);
      const found = (detail: string) =>
        findings.found({ check: "statements", subject: formatId("stm", row.id), detail });
      verifyChain(statement, before?.masterId === statement.masterId ? before : undefined, found);
      verifyTotals(statement, found);
      await verifySums(db, statement, found);
      if (statement.format > 1) await verifyCredits(db, statement, found);
      verifyShares(statement, found);
      if (statement.format > 1) await verifyAmounts(db, statement, found);
      findings.read(1);
      before = statement;
    }
    if (rows.length < PAGE) break;
  }
  await verifyNoneLeftOut(db, scope, findings);
}

async function readPage(db: Db, scope: Scope, before: Statement | undefined): Promise<StatementRow[]> {
  let query = db.selectFrom("statement").selectAll().where(rowsIn(scope));
  if (before !== undefined) {
    const { masterId, period } = before;
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("master_id", "period_start"), ">", tuple(masterId, period.start)),
    );
  }
  return await query.orderBy("master_id").orderBy("period_start").limit(PAGE).execute();
}

/** The one to which that of the period must be chained. */
async function readBefore(db: Db, scope: Scope): Promise<Statement | undefined> {
  if (!isPart(scope) || scope.period === null) return undefined;
  const row = await db
    .selectFrom("statement")
    .selectAll()
    .where("master_id", "=", scope.masterId)
    .where("period_start", "<", scope.period.start)
    .orderBy("period_start", "desc")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : await readClosed(db, row);
}

/** What was used in a period that no statement is of, though later ones are closed, would never be billed. */
async function verifyNoneLeftOut(db: Db, scope: Scope, findings: Findings): Promise<void> {
  const { rows } = await sql<{ id: MasterId; start: Date; used: number }>`
    select u.account_id as id, u.period_start as start, u.used from usage u
     where ${rowsIn(scope, "u")} and u.account_id = u.master_id and u.used > 0
       and u.period_start < (select max(s.period_end) from statement s where s.master_id = u.master_id)
       and not exists (select from statement s where s.master_id = u.master_id and s.period_start = u.period_start)`.execute(
    db,
  );
  for (const { id, start, used } of rows) {
    const detail = `period ${start.toISOString()}: ${used} units were used, and no statement is of it, though later ones are closed`;
    findings.found({ check: "statements", subject: formatId("mas", id), detail });
  }
}

function verifyChain(statement: Statement, before: Statement | undefined, found: Found): void {
  const linesHash = hashLines(statement);
  if (linesHash.toString("hex") !== statement.linesHash) found("its figures or lines are not those that were hashed");
  const previous = before?.chainHash == null ? CHAIN_START : Buffer.from(before.chainHash, "hex");
  const chained = hashChain(previous, Buffer.from(statement.linesHash ?? "", "hex")).toString("hex");
  if (chained !== statement.chainHash) found("it is not chained to the statement before it");
  const number = (before?.number ?? 0) + 1;
  if (statement.number !== number) found(`its number is ${statement.number}, and would be ${number}`);
  if (before !== undefined && before.period.end.getTime() !== statement.period.start.getTime()) {
    found(
      `it starts at ${statement.period.start.toISOString()}, the one before ends at ${before.period.end.toISOString()}`,
    );
  }
}

type Totals = LedgerSum & Readonly<{ credits: number; refused: number }>;

function verifyTotals(statement: Statement, found: Found): void {
  const shown = (of: Totals) => `${sumText(of)}, ${of.credits} credits, ${of.refused} refused`;
  const [own, total] = [shown(statement), shown(statement.lines.reduce(addFigures, NO_FIGURES))];
  if (own !== total) found(`it says ${own}; its lines ${total}`);
}

function sumText({ messages, units, corrections }: LedgerSum): string {
  return `${messages} messages, ${units} units, ${corrections} corrections`;
}

async function verifySums(db: Db, { masterId, period, lines }: Statement, found: Found): Promise<void> {
  const open = addAllSums(await sumLedger(db, { masterId, period }), await sumArchived(db, { masterId, period }));
  for (const line of lines) {
    const [own, ledger] = [sumText(line), sumText(open.get(line.subaccountId) ?? EMPTY_SUM)];
    open.delete(line.subaccountId);
    if (own !== ledger) found(`its line of ${formatId("sub", line.subaccountId)} says ${own}; the ledger ${ledger}`);
  }
  for (const [id, sum] of open) {
    const ledger = sumText(sum);
    if (ledger !== sumText(EMPTY_SUM)) found(`it has no line for ${formatId("sub", id)}; the ledger has ${ledger}`);
  }
}

async function verifyCredits(db: Db, { masterId, period, lines }: Statement, found: Found): Promise<void> {
  const { rows } = await sql<{ id: SubaccountId; units: number }>`
    select subaccount_id as id, sum(units)::bigint as units from credit_entry
     where master_id = ${masterId} and period_start = ${period.start} group by 1`.execute(db);
  const open = new Map(rows.map(({ id, units }) => [id, units]));
  for (const { subaccountId, credits } of lines) {
    const journal = open.get(subaccountId) ?? 0;
    open.delete(subaccountId);
    if (credits !== journal)
      found(`its line of ${formatId("sub", subaccountId)} says ${credits} credits; their journal ${journal}`);
  }
  for (const [id, units] of open)
    found(`it has no line for ${formatId("sub", id)}; the journal of credits has ${units} units`);
}

function verifyShares({ overageUnits, lines }: Statement, found: Found): void {
  for (const [i, { overageUnits: share }] of shareOverage(overageUnits, lines).entries()) {
    const { subaccountId, overageUnits: own } = lines[i]!;
    if (own !== share)
      found(`its line of ${formatId("sub", subaccountId)} has ${own} of the overage; its share is ${share}`);
  }
}
