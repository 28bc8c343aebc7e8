/**
 * Closes a master's periods, in order, once each: an immutable statement from the ledger.
 *
 * Invariant: nothing can be charged to a closed period. Acceptance holds the master's usage row, a correction a lock of
 * its own, and so do prices, while they compare Postgres's clock with the period's end; here all are locked once after the
 * end: whoever was before has committed, whoever comes later sees that the period is over. Nothing is held while the ledger is read.
 * Statements of a master have no gaps: each starts where the one before ended, and a period without any use
 * has one over zero units.
 * On failure: nothing is stored; the next run does it again and gets the same figures.
 */
import { sql } from "kysely";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, newId, type StatementId } from "../platform/ids.ts";
import { lockCorrections } from "./correction.ts";
import { type Draft, draftStatement } from "./draft.ts";
import { firstOpen } from "./open-period.ts";
import { pagesOf } from "./pages.ts";
import type { Period } from "./period.ts";
import { billedUnits, CHAIN_START, hashChain, hashLines } from "./statement.ts";
import { totalsOf } from "./statement-amounts.ts";
import { storeAmounts } from "./stored-amounts.ts";

export type Closed = Readonly<{ id: StatementId; masterId: MasterId; period: Period; units: number }>;

export type CloseOptions = Readonly<{
  clock: Clock;
  /** Waits that long after a period's end, for clocks that are put back and for refusals that are counted, and not written yet. */
  graceMs?: number;
}>;

/** Closes what is due of one master, oldest first. An empty list: nothing was due. */
export async function closeMaster(db: Db, masterId: MasterId, options: CloseOptions): Promise<Closed[]> {
  const closed: Closed[] = [];
  for (;;) {
    const period = await firstOpen(db, masterId);
    if (period === undefined) return closed;
    if (!(await isOver(db, masterId, period, options.graceMs ?? 0))) {
      await remember(db, masterId, period.end);
      return closed;
    }
    const draft = await draftStatement(db, masterId, period);
    const id = await db.transaction().execute((trx) => store(trx, draft, options.clock));
    if (id !== undefined) closed.push({ id, masterId, period, units: draft.units });
  }
}

async function remember(db: Db, masterId: MasterId, dueAt: Date): Promise<void> {
  await sql`
    insert into statement_due values (${masterId}, ${dueAt})
    on conflict (master_id) do update set due_at = excluded.due_at where statement_due.due_at <> excluded.due_at`.execute(
    db,
  );
}

/** By Postgres's clock; when true, nothing more can be charged to the period. */
async function isOver(db: Db, masterId: MasterId, period: Period, graceMs: number): Promise<boolean> {
  const { rows } = await sql<{ over: boolean }>`
    select pm_now() >= ${period.end}::timestamptz + make_interval(secs => ${graceMs / 1000}::float8) as over`.execute(
    db,
  );
  if (rows[0]?.over !== true) return false;
  await sql`select from usage where account_id = ${masterId} and period_start = ${period.start} for update`.execute(db);
  await lockCorrections(db, masterId);
  await sql`select lock_prices(${masterId})`.execute(db);
  return true;
}

/** Undefined: someone else has just closed it. Its number is taken first: until the commit nobody else stores one of this master. */
async function store(trx: Db, draft: Draft, clock: Clock): Promise<StatementId | undefined> {
  const { masterId, period, allowance, cap, overage, units, messages, corrections, credits, refused } = draft;
  const number = await nextNumber(trx, masterId);
  const previous = await trx
    .selectFrom("statement")
    .select("chain_hash")
    .where("master_id", "=", masterId)
    .where("period_end", "=", period.start)
    .executeTakeFirst();
  const linesHash = hashLines({ ...draft, number });
  const chainHash = hashChain(previous?.chain_hash ?? CHAIN_START, linesHash);
  const id = newId<StatementId>(clock);
  const { rows } = await sql`
    insert into statement (id, master_id, period_start, period_end, format, number, allowance, cap, overage, units, messages, corrections,
                           credits, refused, lines_hash, chain_hash, closed_at)
    values (${id}, ${masterId}, ${period.start}, ${period.end}, ${draft.format}, ${number}, ${allowance}, ${cap}, ${overage}, ${units},
            ${messages}, ${corrections}, ${credits}, ${refused}, ${linesHash}, ${chainHash}, pm_now())
    on conflict (master_id, period_start) do nothing returning id`.execute(trx);
  if (rows.length === 0) return undefined;
  for (const lines of pagesOf(draft.lines)) await storeLines(trx, id, lines);
  await storeProfiles(trx, id, draft);
  await storeAmounts(trx, id, draft);
  const data = {
    statement_id: formatId("stm", id),
    number,
    period_start: period.start,
    period_end: period.end,
    units,
    messages,
    corrections,
    billed: billedUnits(draft),
    credits,
    overage: draft.overageUnits,
    totals: totalsOf(draft.price).map(({ currency, minor }) => ({ currency, amount_minor: minor })),
  };
  await emit(trx, { type: "statement.closed", masterId, at: clock.now(), data }, clock);
  return id;
}

async function nextNumber(trx: Db, masterId: MasterId): Promise<number> {
  const { rows } = await sql<{ number: number }>`select next_statement_number(${masterId}) as number`.execute(trx);
  return rows[0]!.number;
}

async function storeLines(trx: Db, id: StatementId, lines: Draft["lines"]): Promise<void> {
  const of = <T>(value: (line: Draft["lines"][number]) => T) => lines.map(value);
  await sql`
    insert into statement_line (statement_id, subaccount_id, name, external_id, monthly_limit, top_up, messages, units, corrections,
                                credits, overage_units, refused, billing_profile)
    select ${id}::uuid, * from unnest(${of((l) => l.subaccountId)}::uuid[], ${of((l) => l.name)}::text[],
      ${of((l) => l.externalId)}::text[], ${of((l) => l.monthlyLimit)}::bigint[], ${of((l) => l.topUp)}::bigint[],
      ${of((l) => l.messages)}::bigint[], ${of((l) => l.units)}::bigint[], ${of((l) => l.corrections)}::bigint[],
      ${of((l) => l.credits)}::bigint[], ${of((l) => l.overageUnits)}::bigint[], ${of((l) => l.refused)}::bigint[],
      ${of((l) => l.billingProfile)}::text[])`.execute(trx);
}

async function storeProfiles(trx: Db, id: StatementId, { profiles }: Draft): Promise<void> {
  const rows = profiles.map(({ costCentre: cost_centre, ...rest }) => ({ statement_id: id, cost_centre, ...rest }));
  if (rows.length > 0) await trx.insertInto("statement_profile").values(rows).execute();
}
