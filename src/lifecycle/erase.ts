/**
 * The job `erase` ({erasure_id}): does the pages of an erasure for about a second, then makes room for other jobs and is added
 * again.
 *
 * Invariant: a page commits together with how far it is, under a lock on the erasure, so that it goes on where it was, whoever
 * works on it and whenever one dies. `done` is told, in the audit log and as an event, in the transaction of the last of it.
 * On failure of the database: the job is tried again, and `reviveErasures` finds one whose worker has died.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { findSubaccount } from "../accounts/find.ts";
import type { Operator } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, type ErasureId, formatId } from "../platform/ids.ts";
import { countContents, rowsIn } from "./contents.ts";
import { eraseBrand, eraseCorrespondence, eraseLatest, eraseRest, steps } from "./erase-steps.ts";
import { addErasureJob, type Erasure, erasureMembers, erasureOf } from "./erasure.ts";

/** Rows of a transaction: each message is up to a thousand recipients. */
const PAGE = 500;
const SLICE_MS = 1000;
const BUSY_MS = 100;
const WAIT_MS = 30_000;

/** Everything is looked up for the erasure, by its own ids. */
const house: Operator = { kind: "operator", via: "key" };

export async function eraseJob(db: Db, payload: unknown, clock: Clock): Promise<void> {
  const { erasure_id: id } = payload as { erasure_id: ErasureId };
  const came = await eraseSlice(db, id, clock);
  if (came === "more") await addErasureJob(db, id);
  if (came === "waits") await addErasureJob(db, id, new Date(clock.now().getTime() + WAIT_MS));
}

/** `busy`: another works on it. `waits`: a letter of ours is in a worker's hands. */
type Came = "more" | "ended" | "busy" | "waits";

export async function eraseSlice(db: Db, id: ErasureId, clock: Clock, ms = SLICE_MS): Promise<Came> {
  const until = performance.now() + ms;
  for (;;) {
    const came = await nextPage(db, id, clock);
    if (came !== "more" || performance.now() >= until) return came;
  }
}

/** Here and now, for a program that waits for it; beside a job that may be at it, too. */
export async function finishErasure(db: Db, id: ErasureId, clock: Clock): Promise<void> {
  for (;;) {
    const came = await eraseSlice(db, id, clock);
    if (came === "ended") return;
    if (came !== "more") await sleep(BUSY_MS);
  }
}

/** A worker writes for each page. Whoever is only slow is not disturbed: the lock on the erasure is his. */
export async function reviveErasures(db: Db): Promise<number> {
  const { rows } = await sql<{ id: ErasureId }>`
    select id from erasure where state = 'running' and touched_at < pm_now() - interval '1 minute'`.execute(db);
  for (const { id } of rows) await addErasureJob(db, id);
  return rows.length;
}

function nextPage(db: Db, id: ErasureId, clock: Clock): Promise<Came> {
  return db.transaction().execute(async (trx): Promise<Came> => {
    const query = trx.selectFrom("erasure").selectAll().where("id", "=", id).forUpdate().skipLocked();
    const row = await query.executeTakeFirst();
    if (row === undefined) return "busy";
    const erasure = erasureOf(row);
    if (erasure.state === "done") return "ended";
    if (erasure.total === null) return count(trx, erasure, clock);
    const step = steps[erasure.step];
    if (step === undefined) return finish(trx, erasure, clock);
    const done = await step(trx, erasure.subaccountId, erasure.afterId ?? BEFORE_ALL, PAGE);
    await trx
      .updateTable("erasure")
      .set({
        ...(done.length < PAGE ? { step: erasure.step + 1, after_id: null } : { after_id: done.at(-1) ?? null }),
        done: erasure.done + done.length,
        // What was written since it was counted.
        total: Math.max(erasure.total, erasure.done + done.length),
        touched_at: clock.now(),
      })
      .where("id", "=", id)
      .execute();
    return "more";
  });
}

async function count(trx: Db, erasure: Erasure, clock: Clock): Promise<Came> {
  await eraseBrand(trx, erasure, clock);
  const total = rowsIn(await countContents(trx, erasure.subaccountId));
  await trx.updateTable("erasure").set({ total, touched_at: clock.now() }).where("id", "=", erasure.id).execute();
  return "more";
}

async function finish(trx: Db, before: Erasure, clock: Clock): Promise<Came> {
  const { id, masterId, subaccountId, askedBy: principal, purge } = before;
  await findSubaccount(trx, house, subaccountId, clock, "change");
  if ((await eraseCorrespondence(trx, before)) === "waits") return "waits";
  await eraseLatest(trx, before, PAGE);
  await eraseRest(trx, before, clock);
  const now = clock.now();
  const ended = { state: "done", total: before.done, touched_at: now, finished_at: now } as const;
  await trx.updateTable("erasure").set(ended).where("id", "=", id).execute();
  const after = erasureMembers({ ...before, state: "done" });
  const change = { action: purge ? "subaccount.purged" : "subaccount.erased", target: formatId("sub", subaccountId) };
  await record(trx, { principal, ...change, before: null, after, masterId, subaccountId }, clock);
  const data = { erasure: formatId("era", id), purge, rows: before.done };
  await emit(trx, { type: "subaccount.erased", masterId, subaccountId, at: now, data }, clock);
  return "ended";
}
