/**
 * The job `bulk_run` ({run_id}): does the items of a run, one after the other, for about a second, then makes room for other jobs
 * and is added again.
 *
 * Invariant: an item and its count commit together, under a lock on the run, so that it is done once, whoever works on the run
 * and whenever one dies; `done` says where to go on. A rule's no fails its item alone.
 * On failure of the database: the job is tried again, and `reviveRuns` finds one whose worker has died.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { requireStanding } from "../accounts/standing.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { BulkRunId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { isOutage } from "../platform/outage.ts";
import { type Done, doItem, type ItemDeps } from "./do-item.ts";
import { type Item, itemOf } from "./items.ts";
import { errorsOf } from "./plan-row.ts";
import { type Run, runOf } from "./runs.ts";
import { addRunJob, noteStopped } from "./start.ts";

export type RunDeps = ItemDeps &
  Readonly<{
    log: Log;
    /** Tells the gate what the rows of an account say now. */
    publish(id: SubaccountId): Promise<void>;
  }>;

const SLICE_MS = 1000;
const BUSY_MS = 100;

export async function runJob(db: Db, payload: unknown, deps: RunDeps): Promise<void> {
  const { run_id: id } = payload as { run_id: BulkRunId };
  if ((await runSlice(db, id, deps)) === "more") await addRunJob(db, id);
}

/** `busy`: another works on it. */
export async function runSlice(
  db: Db,
  id: BulkRunId,
  deps: RunDeps,
  ms = SLICE_MS,
): Promise<"more" | "ended" | "busy"> {
  const until = performance.now() + ms;
  for (;;) {
    const step = await nextItem(db, id, deps);
    if (step.kind === "ended" || step.kind === "busy") return step.kind;
    if (step.kind === "done" && step.subaccountId !== null && step.outcome === "changed") {
      await publishSafely(step.subaccountId, deps);
    }
    if (performance.now() >= until) return "more";
  }
}

/** Here and now, for a program that waits for it; beside a job that may be at it, too. */
export async function finishRun(db: Db, id: BulkRunId, deps: RunDeps): Promise<void> {
  for (;;) {
    const slice = await runSlice(db, id, deps);
    if (slice === "ended") return;
    if (slice === "busy") await sleep(BUSY_MS);
  }
}

type Step = Readonly<{ kind: "ended" | "busy" | "passed" }> | (Readonly<{ kind: "done" }> & Done);

/** What failed is rolled back and noted apart. Whoever has done the item meanwhile has the say of it. */
async function nextItem(db: Db, id: BulkRunId, deps: RunDeps): Promise<Step> {
  let tried: number | undefined;
  const doing: Deed = (trx, run, item) => {
    tried = item.n;
    return doItem(trx, run, item, deps);
  };
  try {
    return await attempt(db, id, deps, doing);
  } catch (error) {
    if (tried === undefined || (!(error instanceof Fault) && isOutage(error))) throw error;
    const failed = failureOf(error, id, deps);
    return await attempt(db, id, deps, async (_, __, { subaccountId }) => ({ ...failed, subaccountId }), tried);
  }
}

function failureOf(error: unknown, id: BulkRunId, { log }: RunDeps) {
  if (error instanceof Fault) {
    const outcome = error.kind === "precondition" ? ("skipped" as const) : ("failed" as const);
    return { outcome, errors: errorsOf(error) };
  }
  log.error({ event: "bulk.item_failed", run: id, err: error }, "an item of a run failed on our side");
  return { outcome: "failed" as const, errors: [{ column: null, detail: "It failed on our side." }] };
}

type Deed = (trx: Db, run: Run, item: Item) => Promise<Done>;

/** `passed`: another has done item `only`. */
function attempt(db: Db, id: BulkRunId, deps: RunDeps, deed: Deed, only?: number): Promise<Step> {
  const { clock } = deps;
  return db.transaction().execute(async (trx): Promise<Step> => {
    const run = await lockRun(trx, id);
    if (run === undefined) return { kind: "busy" };
    if (run.state !== "running") return { kind: "ended" };
    const lost = await requireStanding(trx, run.askedBy, clock).catch((error: unknown) => {
      if (error instanceof Fault) return error.message;
      throw error;
    });
    if (lost !== undefined || run.done >= run.total) {
      await end(trx, run, lost ?? null, clock);
      return { kind: "ended" };
    }
    if (only !== undefined && run.done + 1 !== only) return { kind: "passed" };
    const item = await readItem(trx, id, run.done + 1);
    const done = await deed(trx, run, item);
    await writeDone(trx, id, item, done);
    return { kind: "done", ...done };
  });
}

/** `lost`: why who asked for it may not have it done any more; null: all is done. */
async function end(trx: Db, run: Run, lost: string | null, clock: Clock): Promise<void> {
  const state = lost === null ? "done" : "stopped";
  const ended = { state, detail: lost, touched_at: clock.now(), finished_at: clock.now() } as const;
  await trx.updateTable("bulk_run").set(ended).where("id", "=", run.id).execute();
  if (lost !== null) await noteStopped(trx, { kind: "system" }, run, lost, clock);
}

/** Undefined: another has it in hand, or there is none. */
async function lockRun(trx: Db, id: BulkRunId): Promise<Run | undefined> {
  const query = trx.selectFrom("bulk_run").selectAll().where("id", "=", id).forUpdate().skipLocked();
  const row = await query.executeTakeFirst();
  return row && runOf(row);
}

async function readItem(trx: Db, id: BulkRunId, n: number): Promise<Item> {
  const query = trx.selectFrom("bulk_item").selectAll().where("run_id", "=", id).where("n", "=", n);
  return itemOf(await query.executeTakeFirstOrThrow());
}

async function writeDone(trx: Db, id: BulkRunId, item: Item, done: Done): Promise<void> {
  const { outcome, subaccountId, secret = null } = done;
  const errors = done.errors ?? (item.errors.length > 0 && outcome === "failed" ? item.errors : []);
  await trx
    .updateTable("bulk_item")
    .set({
      outcome,
      secret,
      subaccount_id: subaccountId,
      given: null,
      errors: errors.length === 0 ? null : JSON.stringify(errors),
    })
    .where("run_id", "=", id)
    .where("n", "=", item.n)
    .execute();
  const count = sql.ref(outcome);
  await sql`update bulk_run set done = ${item.n}, ${count} = ${count} + 1, touched_at = pm_now() where id = ${id}`.execute(
    trx,
  );
}

/** It is committed: a gate that can't be told now learns from the rows. */
async function publishSafely(id: SubaccountId, { publish, log }: RunDeps): Promise<void> {
  await publish(id).catch((error: unknown) => log.warn({ event: "bulk.publish_failed", err: error }));
}
