/** From a plan to a run: the job `bulk_run` does it, added in the transaction that starts it. */

import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { BulkRunId } from "../platform/ids.ts";
import { addJob } from "../platform/jobs.ts";
import { inTransaction } from "../platform/transaction.ts";
import { findRun, type Planned, type Run, type RunKind, runOf, showRunId } from "./runs.ts";

/** What there is to do is known. With `preview` it waits to be started. */
export async function planned(
  db: Db,
  principal: Principal,
  run: Run,
  { total, counts, preview }: Readonly<{ total: number; counts: Planned; preview: boolean }>,
  clock: Clock,
): Promise<Run> {
  return inTransaction(db, async (trx) => {
    const row = await trx
      .updateTable("bulk_run")
      .set({ state: "previewed", total, planned: JSON.stringify(counts), touched_at: clock.now() })
      .where("id", "=", run.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return preview ? runOf(row) : startRun(trx, principal, run.kind, run.id, clock);
  });
}

/** Starting one that has been started changes nothing. @throws Fault not-found, forbidden, conflict for one without a plan */
export async function startRun(db: Db, principal: Principal, kind: RunKind, id: BulkRunId, clock: Clock): Promise<Run> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    await findRun(trx, principal, kind, id);
    const locked = await trx.selectFrom("bulk_run").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
    if (locked === undefined || locked.state === "receiving") throw new Fault("conflict", "There is no plan yet.");
    if (locked.state !== "previewed") return runOf(locked);
    const started = { state: "running", asked_by: JSON.stringify(principal), touched_at: clock.now() } as const;
    const row = await trx
      .updateTable("bulk_run")
      .set(started)
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const run = runOf(row);
    const after = { total: run.total, planned: run.planned, change: run.change };
    const what = { action: kind === "import" ? "import.started" : "bulk_change.started", target: showRunId(run) };
    const where = { masterId: run.masterId, subaccountId: null };
    await record(trx, { principal, ...what, before: null, after, ...where }, clock);
    await addRunJob(trx, id);
    return run;
  });
}

/** One that waits already is replaced; one at work, or dead at work, is not waited for. */
export async function addRunJob(db: Db, id: BulkRunId): Promise<void> {
  await addJob(db, "bulk_run", { run_id: id }, { key: `bulk_run:${id}` });
}

/** What is not done stays undone. Stopping an ended one changes nothing. @throws Fault not-found, forbidden */
export async function stopRun(db: Db, principal: Principal, kind: RunKind, id: BulkRunId, clock: Clock): Promise<Run> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const run = await findRun(trx, principal, kind, id);
    const ended = {
      state: "stopped",
      detail: "It was stopped.",
      touched_at: clock.now(),
      finished_at: clock.now(),
    } as const;
    const row = await trx
      .updateTable("bulk_run")
      .set(ended)
      .where("id", "=", id)
      .where("state", "in", ["previewed", "running"])
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return run;
    await noteStopped(trx, principal, run, ended.detail, clock);
    return runOf(row);
  });
}

/** @param by who stopped it; the program, when who asked for it may not have it done any more */
export async function noteStopped(
  trx: Db,
  by: Principal | Readonly<{ kind: "system" }>,
  run: Run,
  detail: string,
  clock: Clock,
): Promise<void> {
  const action = run.kind === "import" ? "import.stopped" : "bulk_change.stopped";
  const states = { before: { state: run.state }, after: { state: "stopped", done: run.done, detail } };
  const of = { target: showRunId(run), masterId: run.masterId, subaccountId: null };
  await record(trx, { principal: by, action, ...states, ...of }, clock);
}
