/** Statements as a master (or the operator for it) reads them: closed ones as they were closed, those that are not closed yet as a preview. */
import type { Selectable } from "kysely";
import { findMaster } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { type MasterId, parseId, type StatementId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { type Draft, draftStatement } from "./draft.ts";
import { findEnded } from "./open-period.ts";
import { type Calendar, periodAt, periodDate } from "./period.ts";
import {
  overageUnits,
  type Statement,
  type StatementLine,
  type StatementProfile,
  type StatementSummary,
  shareOverage,
} from "./statement.ts";
import { type LinePrice, type Money, withPrices } from "./statement-amounts.ts";
import { readAmounts, readTotals } from "./stored-amounts.ts";

export type StatementFilter = Readonly<{
  masterId?: MasterId | undefined; // the operator's choice
  before?: Date | undefined; // the period start of the last one of the page before
  limit: number;
}>;

export type ListedStatement = StatementSummary &
  Readonly<{
    /** What the operator asks of the master, in each currency. */
    totals: readonly Money[];
  }>;

/** Closed ones, newest first; `limit + 1` rows: the last tells that there is more. @throws Fault not-found */
export async function listStatements(
  db: Db,
  principal: Principal,
  filter: StatementFilter,
  clock: Clock,
): Promise<ListedStatement[]> {
  const { id } = await findMaster(db, principal, filter.masterId, clock);
  let query = db
    .selectFrom("statement")
    .selectAll()
    .where("master_id", "=", id)
    .orderBy("period_start", "desc")
    .limit(filter.limit + 1);
  if (filter.before !== undefined) query = query.where("period_start", "<", filter.before);
  const rows = await query.execute();
  const totals = await readTotals(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => ({ ...summaryOf(row), totals: totals.get(row.id) ?? [] }));
}

/**
 * @param name `current` (a preview), the period's start date in the master's time zone (`2026-11-01`), or `stm_...`.
 * @param masterId the operator's choice
 * A period that has ended and waits to be closed is a preview too.
 * @throws Fault not-found, also for a period that is still running
 */
export async function readStatement(
  db: Db,
  principal: Principal,
  name: string,
  clock: Clock,
  masterId?: MasterId,
): Promise<Statement> {
  const { id, calendar } = await findMaster(db, principal, masterId, clock);
  if (name === "current") {
    const draft = await draftStatement(db, id, periodAt(calendar, clock.now()));
    return preview(draft);
  }
  let row = await findClosed(db, id, calendar, name);
  if (row === undefined) {
    const ended = await findEnded(db, { id, calendar }, name, clock.now());
    if (ended !== undefined) return preview(await draftStatement(db, id, ended));
    row = await findClosed(db, id, calendar, name); // it may have been closed meanwhile
  }
  if (row === undefined) throw notFound("statement");
  return readClosed(db, row);
}

/** As it was closed. */
export async function readClosed(db: Db, row: StatementRow): Promise<Statement & { id: StatementId }> {
  const summary = summaryOf(row);
  const lines = await readLines(db, row.id);
  const profiles = await readProfiles(db, row.id);
  // The first format knew no shares.
  const shared = row.format === 1 ? shareOverage(summary.overageUnits, lines) : lines;
  const statement = { ...summary, lines: shared, profiles };
  return withPrices(statement, await readAmounts(db, row.id, statement));
}

function preview(draft: Draft): Statement {
  return { id: null, number: null, closedAt: null, linesHash: null, chainHash: null, ...draft };
}

const DAY_MS = 86_400_000;

/** By its period's start date in the master's time zone, or its id. */
export async function findClosed(
  db: Db,
  masterId: MasterId,
  calendar: Calendar,
  name: string,
): Promise<StatementRow | undefined> {
  const query = db.selectFrom("statement").selectAll().where("master_id", "=", masterId);
  const id = parseId("stm", name);
  if (id !== undefined) return await query.where("id", "=", id).executeTakeFirst();
  const near = /^\d{4}-\d{2}-\d{2}$/.test(name) ? Date.parse(`${name}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(near)) return undefined;
  const rows = await query
    .where("period_start", ">", new Date(near - 2 * DAY_MS))
    .where("period_start", "<", new Date(near + 2 * DAY_MS))
    .execute();
  return rows.find((row) => periodDate(calendar, { start: row.period_start, end: row.period_end }) === name);
}

/** In order of the subaccounts' ids, which is the order of the hash. */
async function readLines(db: Db, id: StatementId): Promise<Omit<StatementLine, keyof LinePrice>[]> {
  return await db
    .selectFrom("statement_line")
    .select(["subaccount_id as subaccountId", "name", "external_id as externalId", "monthly_limit as monthlyLimit"])
    .select(["top_up as topUp", "billing_profile as billingProfile", "messages", "units", "corrections", "credits"])
    .select(["overage_units as overageUnits", "refused"])
    .where("statement_id", "=", id)
    .orderBy("subaccount_id")
    .execute();
}

async function readProfiles(db: Db, id: StatementId): Promise<StatementProfile[]> {
  const profiles = await db
    .selectFrom("statement_profile")
    .select(["name", "currency", "cost_centre as costCentre", "address"])
    .where("statement_id", "=", id)
    .execute();
  return profiles.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export type StatementRow = Selectable<Schema["statement"]>;

function summaryOf(row: StatementRow): StatementSummary & { id: StatementId } {
  const { id, number, format, allowance, cap, overage, messages, units, corrections, credits, refused } = row;
  return {
    id,
    number,
    format,
    masterId: row.master_id,
    period: { start: row.period_start, end: row.period_end },
    allowance,
    cap,
    overage,
    messages,
    units,
    corrections,
    credits,
    overageUnits: overageUnits(row),
    refused,
    closedAt: row.closed_at,
    linesHash: row.lines_hash.toString("hex"),
    chainHash: row.chain_hash.toString("hex"),
  };
}
