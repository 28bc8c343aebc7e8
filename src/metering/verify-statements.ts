/**
 * Every statement says what the ledger says, its hashes are those of its figures, and the statements of a master follow
 * one another without a gap, each chained to the one before.
 */
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type StatementId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { sumArchived } from "./kept-sums.ts";
import { addAllSums, addSums, EMPTY_SUM, type LedgerSum, sumLedger } from "./ledger.ts";
import { readStatementLines, summaryOf } from "./read-statement.ts";
import { CHAIN_START, hashChain, hashLines, type Statement } from "./statement.ts";

const PAGE = 200;

export async function verifyStatements(db: Db, findings: Findings): Promise<void> {
  let before: Statement | undefined;
  for (;;) {
    let query = db.selectFrom("statement").selectAll().orderBy("master_id").orderBy("period_start").limit(PAGE);
    if (before !== undefined) {
      const { masterId, period } = before;
      query = query.where(({ eb, refTuple, tuple }) =>
        eb(refTuple("master_id", "period_start"), ">", tuple(masterId, period.start)),
      );
    }
    const rows = await query.execute();
    for (const row of rows) {
      const statement = { ...summaryOf(row), lines: await readStatementLines(db, row.id) };
      const found = (detail: string) =>
        findings.found({ check: "statements", subject: formatId("stm", row.id), detail });
      verifyChain(statement, before?.masterId === statement.masterId ? before : undefined, found);
      await verifySums(db, statement, found);
      findings.read(1);
      before = statement;
    }
    if (rows.length < PAGE) return;
  }
}

function verifyChain(statement: Statement, before: Statement | undefined, found: (detail: string) => void): void {
  const linesHash = hashLines(statement);
  if (linesHash.toString("hex") !== statement.linesHash) found("its figures or lines are not those that were hashed");
  const previous = before?.chainHash == null ? CHAIN_START : Buffer.from(before.chainHash, "hex");
  const chained = hashChain(previous, Buffer.from(statement.linesHash ?? "", "hex")).toString("hex");
  if (chained !== statement.chainHash) found("it is not chained to the statement before it");
  if (before !== undefined && before.period.end.getTime() !== statement.period.start.getTime()) {
    found(
      `it starts at ${statement.period.start.toISOString()}, the one before ends at ${before.period.end.toISOString()}`,
    );
  }
}

async function verifySums(
  db: Db,
  statement: Statement & { masterId: MasterId; id: StatementId | null },
  found: (detail: string) => void,
): Promise<void> {
  const { masterId, period, lines } = statement;
  const sums = addAllSums(await sumLedger(db, { masterId, period }), await sumArchived(db, { masterId, period }));
  const differs = (a: LedgerSum, b: LedgerSum) =>
    a.units !== b.units || a.messages !== b.messages || a.corrections !== b.corrections;
  const shown = ({ messages, units, corrections }: LedgerSum) =>
    `${messages} messages, ${units} units, ${corrections} corrections`;
  const open = new Map<SubaccountId, LedgerSum>(sums);
  for (const line of lines) {
    const sum = sums.get(line.subaccountId) ?? EMPTY_SUM;
    open.delete(line.subaccountId);
    if (differs(line, sum))
      found(`its line of ${formatId("sub", line.subaccountId)} says ${shown(line)}; the ledger ${shown(sum)}`);
  }
  for (const [id, sum] of open)
    if (differs(sum, EMPTY_SUM)) found(`it has no line for ${formatId("sub", id)}; the ledger has ${shown(sum)}`);
  const total = lines.reduce<LedgerSum>(addSums, EMPTY_SUM);
  if (differs(statement, total)) found(`it says ${shown(statement)}; its lines ${shown(total)}`);
}
