/** An erasure: of which account, and how far it is. Values of it come from this file only. */
import type { Selectable } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { type ErasureId, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { addJob } from "../platform/jobs.ts";
import type { Schema } from "../platform/schema.ts";

export type Erasure = Readonly<{
  id: ErasureId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  askedBy: Principal;
  /** By the operator, after the retention of closed accounts. */
  purge: boolean;
  state: "running" | "done";
  /** Of erase-steps.ts. */
  step: number;
  /** The last one that the step has done. */
  afterId: string | null;
  /** Rows with contents or addresses; null: not counted yet. */
  total: number | null;
  done: number;
  createdAt: Date;
  finishedAt: Date | null;
}>;

export function erasureOf(row: Selectable<Schema["erasure"]>): Erasure {
  const { id, purge, state, step, total, done } = row;
  return {
    ...{ id, purge, state, step, total, done },
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    askedBy: row.asked_by as Principal,
    afterId: row.after_id,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}

/** Its master sees it, and the operator. @throws Fault not-found */
export async function findErasure(db: Db, principal: Principal, id: ErasureId): Promise<Erasure> {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("erasure"); // it is closed: nobody asks in its name
  let query = db.selectFrom("erasure").selectAll().where("id", "=", id);
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw notFound("erasure");
  return erasureOf(row);
}

/** One that waits already is replaced; one at work, or dead at work, is not waited for. */
export async function addErasureJob(db: Db, id: ErasureId, runAt?: Date): Promise<void> {
  await addJob(db, "erase", { erasure_id: id }, { key: `erase:${id}`, ...(runAt === undefined ? {} : { runAt }) });
}

/** As the audit log keeps it. */
export function erasureMembers({ id, purge, state, done }: Erasure): Record<string, unknown> {
  return { erasure: formatId("era", id), purge, erasure_state: state, rows: done };
}
