/**
 * A statement: what a master owes for a period, one line per subaccount, its own sending included.
 *
 * Invariant: a closed one never changes. `units` and `messages` are the ledger's accept entries of the period,
 * `corrections` the signed sum of its corrections; what is billed is their sum, overage what of that lies above the
 * allowance. Its hash covers all figures and lines; the chain hash covers the statement before it too, so that none can
 * be changed or taken out unseen.
 */
import { createHash } from "node:crypto";
import type { MasterId, StatementId, SubaccountId } from "../platform/ids.ts";
import type { Period } from "./period.ts";

export type StatementLine = Readonly<{
  subaccountId: SubaccountId;
  name: string; // as it was when the statement was closed
  externalId: string | null;
  monthlyLimit: number | null;
  topUp: number;
  messages: number;
  units: number;
  corrections: number; // signed
}>;

export type StatementSummary = Readonly<{
  id: StatementId | null; // null: a preview of a period that is not closed
  masterId: MasterId;
  period: Period;
  allowance: number | null;
  cap: number | null;
  overage: "block" | "bill";
  messages: number;
  units: number;
  corrections: number;
  closedAt: Date | null;
  /** Hex SHA-256; null in a preview. */
  linesHash: string | null;
  chainHash: string | null;
}>;

export type Statement = StatementSummary & Readonly<{ lines: readonly StatementLine[] }>;

/** What is paid for; below zero it is a credit, where messages of earlier periods were taken back. */
export function billedUnits({ units, corrections }: { units: number; corrections: number }): number {
  return units + corrections;
}

/** What of it lies above the allowance; 0 without one. */
export function overageUnits(statement: Pick<StatementSummary, "units" | "corrections" | "allowance">): number {
  return statement.allowance === null ? 0 : Math.max(0, billedUnits(statement) - statement.allowance);
}

type Hashed = Omit<Statement, "id" | "closedAt" | "linesHash" | "chainHash">;

/** SHA-256 over one JSON array per line of text: first the statement's figures, then its lines in order of subaccount id. */
export function hashLines(statement: Hashed): Buffer {
  const { masterId, period, allowance, cap, overage, messages, units, corrections } = statement;
  const hash = createHash("sha256");
  const add = (values: readonly unknown[]) => hash.update(`${JSON.stringify(values)}\n`);
  const { start, end } = period;
  add(["statement/1", masterId, start, end, allowance, cap, overage, messages, units, corrections]);
  for (const line of statement.lines.toSorted((a, b) => (a.subaccountId < b.subaccountId ? -1 : 1))) {
    const { subaccountId, name, externalId, monthlyLimit, topUp } = line;
    add([subaccountId, name, externalId, monthlyLimit, topUp, line.messages, line.units, line.corrections]);
  }
  return hash.digest();
}

/** What the first statement of a master is chained to. */
export const CHAIN_START: Buffer = Buffer.alloc(32);

/** SHA-256 over the chain hash of the master's statement before and this one's lines hash. */
export function hashChain(previous: Buffer, linesHash: Buffer): Buffer {
  return createHash("sha256").update(previous).update(linesHash).digest();
}
