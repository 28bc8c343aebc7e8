/**
 * What is done to many subaccounts of a master, one by one: its plan, how far it is, what came of it.
 *
 * Invariant: a run is seen by its master and the operator; all it does is done and audited in the name of who asked for it.
 */
import { type Selectable, sql } from "kysely";
import { findMaster } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { type BulkRunId, formatId, type MasterId, newId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";

export type RunKind = "import" | "change";

/** Counts of the plan; for a change the sums of limits too, null where some are unlimited. */
export type Planned = Readonly<Partial<Record<PlannedName, number | null>>>;
export const plannedCounts = ["create", "change", "same", "error"] as const;
type PlannedName = (typeof plannedCounts)[number] | "limits_before" | "limits_after" | "allowance";

export type Run = Readonly<{
  id: BulkRunId;
  kind: RunKind;
  masterId: MasterId;
  state: "receiving" | "previewed" | "running" | "done" | "stopped";
  askedBy: Principal;
  change: Readonly<Record<string, unknown>> | null;
  ignored: readonly string[];
  planned: Planned;
  total: number;
  done: number;
  created: number;
  changed: number;
  unchanged: number;
  skipped: number;
  failed: number;
  /** Why it stopped. */
  detail: string | null;
  secretsTakenAt: Date | null;
  createdAt: Date;
  finishedAt: Date | null;
}>;

/** Of one master that are not finished: each holds up to a hundred thousand rows. */
const MAX_OPEN = 10;

export type NewRun = Readonly<{
  kind: RunKind;
  masterId: MasterId | undefined;
  ignored?: readonly string[];
  change?: Readonly<Record<string, unknown>>;
}>;

/** @throws Fault forbidden, not-found, conflict when the master is closed or has too many open */
export async function openRun(db: Db, principal: Principal, wanted: NewRun, clock: Clock): Promise<Run> {
  requireMasterChange(principal);
  const master = await findMaster(db, principal, wanted.masterId, clock);
  if (master.ownState === "closed") throw new Fault("conflict", "The master account is closed.");
  const open = await db
    .selectFrom("bulk_run")
    .select("id")
    .where("master_id", "=", master.id)
    .where("state", "in", ["receiving", "previewed", "running"])
    .limit(MAX_OPEN)
    .execute();
  if (open.length === MAX_OPEN) {
    throw new Fault(
      "conflict",
      `${MAX_OPEN} imports and bulk changes are open: let one end, or wait until previews are forgotten.`,
    );
  }
  const now = clock.now();
  const row = await db
    .insertInto("bulk_run")
    .values({
      id: newId<BulkRunId>(clock),
      kind: wanted.kind,
      master_id: master.id,
      asked_by: JSON.stringify(principal),
      state: "receiving",
      change: wanted.change === undefined ? null : JSON.stringify(wanted.change),
      ignored: [...(wanted.ignored ?? [])],
      created_at: now,
      touched_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return runOf(row);
}

/** @throws Fault not-found */
export async function findRun(db: Db, principal: Principal, kind: RunKind, id: BulkRunId): Promise<Run> {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db.selectFrom("bulk_run").selectAll().where("id", "=", id).where("kind", "=", kind);
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where(sql.lit(false)); // it is its master's work
  const row = await query.executeTakeFirst();
  if (row === undefined) throw notFound(kind === "import" ? "import" : "bulk change");
  return runOf(row);
}

/** One that is being planned, and came to nothing. */
export async function dropRun(db: Db, id: BulkRunId): Promise<void> {
  await db.deleteFrom("bulk_run").where("id", "=", id).where("state", "=", "receiving").execute();
}

export function runOf(row: Selectable<Schema["bulk_run"]>): Run {
  const { id, kind, state, change, ignored, total, done, created, changed, unchanged, skipped, failed, detail } = row;
  return {
    ...{ id, kind, state, change, ignored, total, done, created, changed, unchanged, skipped, failed, detail },
    masterId: row.master_id,
    askedBy: row.asked_by as Principal,
    planned: row.planned,
    secretsTakenAt: row.secrets_taken_at,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}

/** `imp_...` or `blk_...` */
export function showRunId({ kind, id }: Pick<Run, "kind" | "id">): string {
  return kind === "import" ? formatId("imp", id as never) : formatId("blk", id as never);
}
