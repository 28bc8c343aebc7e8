/**
 * A statement: what a master owes for a period, one line per subaccount, its own sending included.
 *
 * Invariant: a closed one never changes. `units` and `messages` are the ledger's accept entries of the period, `corrections` the
 * signed sum of its corrections, `credits` what of the units was paid before. What is billed is units and corrections together;
 * overage is what of that lies above the allowance and was not paid by credits, and the lines share it to the unit. Its hash covers all
 * figures and lines; the chain hash covers the statement before it too, so that none can be changed or taken out unseen.
 */
import { createHash } from "node:crypto";
import { Fault } from "../platform/errors.ts";
import type { MasterId, StatementId, SubaccountId } from "../platform/ids.ts";
import { shares } from "../prices/money.ts";
import type { Period } from "./period.ts";
import { type AccountPrice, amountRows, type LinePrice, paidUnits } from "./statement-amounts.ts";

/** Units, but for `messages` and `refused`. */
export type StatementFigures = Readonly<{
  messages: number;
  units: number;
  corrections: number; // signed
  credits: number;
  overageUnits: number;
  /** Messages that were refused, for whatever reason: shown, and no part of the bill. */
  refused: number;
}>;

export type StatementLine = StatementFigures &
  LinePrice &
  Readonly<{
    subaccountId: SubaccountId;
    name: string; // this and all that follows as it was when the statement was closed
    externalId: string | null;
    monthlyLimit: number | null;
    topUp: number;
    /** The name of a profile of the statement, or a label. */
    billingProfile: string | null;
  }>;

/** A billing profile as it was when the statement was closed. */
export type StatementProfile = Readonly<{
  name: string;
  currency: string;
  costCentre: string | null;
  address: string | null;
}>;

export type StatementSummary = StatementFigures &
  Readonly<{
    id: StatementId | null; // null: a preview of a period that is not closed
    /** 1, 2, 3 ... of the master, in the order of the periods. */
    number: number | null;
    /** 1: closed before credits, refusals and billing profiles were kept; they are 0 and null. */
    format: 1 | 2;
    masterId: MasterId;
    period: Period;
    allowance: number | null;
    cap: number | null;
    overage: "block" | "bill";
    closedAt: Date | null;
    /** Hex SHA-256; null in a preview. */
    linesHash: string | null;
    chainHash: string | null;
  }>;

export type Statement = StatementSummary &
  Readonly<{
    lines: readonly StatementLine[];
    /** Those that lines name, in the order of their names. */
    profiles: readonly StatementProfile[];
    /** What the operator asks of the master; null: it has no price. */
    price: AccountPrice | null;
  }>;

/** What only a closed one has. */
export type Seal = "id" | "number" | "closedAt" | "linesHash" | "chainHash";

type Billed = Pick<StatementFigures, "units" | "corrections">;

/** What is paid for; below zero it is a credit, where messages of earlier periods were taken back. */
export function billedUnits({ units, corrections }: Billed): number {
  return units + corrections;
}

type Charged = Billed & Pick<StatementFigures, "credits">;

/** What of it lies above the allowance, and was not paid by credits: those lift the master's cap too. 0 without an allowance. */
export function overageUnits(sums: Charged & Pick<StatementSummary, "allowance">): number {
  return sums.allowance === null ? 0 : Math.max(0, paidUnits(sums) - sums.allowance);
}

/** Each line's part of `total` by what it has to pay for, in the order of the lines; a line that gets units back has none. */
export function shareOverage<L extends Charged>(
  total: number,
  lines: readonly L[],
): (L & Pick<StatementFigures, "overageUnits">)[] {
  const weights = lines.map((line) => BigInt(Math.max(0, paidUnits(line))));
  const parts = shares(BigInt(total), weights);
  return lines.map((line, i) => ({ ...line, overageUnits: Number(parts[i]) }));
}

/** In the order of the hash and of the shares. */
export function byId(a: Pick<StatementLine, "subaccountId">, b: Pick<StatementLine, "subaccountId">): number {
  return a.subaccountId < b.subaccountId ? -1 : 1;
}

export const NO_FIGURES: StatementFigures = {
  messages: 0,
  units: 0,
  corrections: 0,
  credits: 0,
  overageUnits: 0,
  refused: 0,
};

export function addFigures(a: StatementFigures, b: StatementFigures): StatementFigures {
  return {
    messages: a.messages + b.messages,
    units: a.units + b.units,
    corrections: a.corrections + b.corrections,
    credits: a.credits + b.credits,
    overageUnits: a.overageUnits + b.overageUnits,
    refused: a.refused + b.refused,
  };
}

type Hashed = Omit<Statement, Exclude<Seal, "number">>;

/** One JSON array per line of text: first the statement's figures, then its parts (docs/audit.md). */
function textOf(statement: Hashed): string {
  const rows = statement.format === 1 ? firstFormat(statement) : secondFormat(statement);
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** What its hash covers. @throws Fault conflict for a preview */
export function sealedText(statement: Statement): string {
  if (statement.id === null) throw new Fault("conflict", "A preview has no hash yet; it gets one when it is closed.");
  return textOf(statement);
}

/** SHA-256. */
export function hashLines(statement: Hashed): Buffer {
  return createHash("sha256").update(textOf(statement)).digest();
}

type Rows = (readonly unknown[])[];

/** Lines in the order of their subaccounts' ids. */
function firstFormat({ masterId, period, lines, ...statement }: Hashed): Rows {
  const { allowance, cap, overage, messages, units, corrections } = statement;
  return [
    ["statement/1", masterId, period.start, period.end, allowance, cap, overage, messages, units, corrections],
    ...lines.toSorted(byId).map((line) => {
      const { subaccountId, name, externalId, monthlyLimit, topUp } = line;
      return [subaccountId, name, externalId, monthlyLimit, topUp, line.messages, line.units, line.corrections];
    }),
  ];
}

/** Each row says what it is; a kind of rows that a statement has none of adds nothing. Profiles in the order of their names. */
function secondFormat({ number, masterId, period, lines, profiles, price, ...statement }: Hashed): Rows {
  const terms = [statement.allowance, statement.cap, statement.overage];
  return [
    ["statement/2", number, masterId, period.start, period.end, ...terms, ...figuresOf(statement)],
    ...profiles
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, currency, costCentre, address }) => ["profile", name, currency, costCentre, address]),
    ...lines.toSorted(byId).map((line) => {
      const { subaccountId, name, externalId, monthlyLimit, topUp, billingProfile } = line;
      return ["line", subaccountId, name, externalId, monthlyLimit, topUp, billingProfile, ...figuresOf(line)];
    }),
    ...amountRows(null, price),
    ...lines.toSorted(byId).flatMap((line) => amountRows(line.subaccountId, line.price)),
  ];
}

function figuresOf(of: StatementFigures): number[] {
  return [of.messages, of.units, of.corrections, of.credits, of.overageUnits, of.refused];
}

/** What the first statement of a master is chained to. */
export const CHAIN_START: Buffer = Buffer.alloc(32);

/** SHA-256 over the chain hash of the master's statement before and this one's lines hash. */
export function hashChain(previous: Buffer, linesHash: Buffer): Buffer {
  return createHash("sha256").update(previous).update(linesHash).digest();
}
