/**
 * Kept answers of requests that carry an idempotency key.
 *
 * Invariant: the claim, the effect and the kept answer commit together, so an effect happens once per key, and a crash
 * leaves neither an effect without an answer nor a claim that nobody ends.
 * On failure: a claim waits for another one under way at most for the connection's lock_timeout, then says `running`.
 */
import { sql } from "kysely";
import type { Db } from "./database.ts";

/** `principal`: who asks and for which account, so that no key of another is ever met. */
export type IdempotencyKey = Readonly<{ principal: string; key: string; requestHash: Buffer }>;

export type Claim =
  | Readonly<{ kind: "ours" }>
  | Readonly<{ kind: "running" }>
  | Readonly<{ kind: "kept"; requestHash: Buffer; answer: Buffer }>;

const KEPT_FOR = sql<Date>`pm_now() - interval '24 hours'`;
const LOCK_NOT_AVAILABLE = "55P03";

/** Takes the key in the caller's transaction, whose end releases or keeps it. After `running` the transaction is lost. */
export async function claimKey(trx: Db, { principal, key, requestHash }: IdempotencyKey): Promise<Claim> {
  try {
    await trx
      .deleteFrom("idempotency")
      .where("principal", "=", principal)
      .where("key", "=", key)
      .where("created_at", "<", KEPT_FOR)
      .execute();
    const ours = await trx
      .insertInto("idempotency")
      .values({ principal, key, request_hash: requestHash, state: "running", created_at: sql<Date>`pm_now()` })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (ours.numInsertedOrUpdatedRows === 1n) return { kind: "ours" };
  } catch (error) {
    if ((error as { code?: unknown }).code === LOCK_NOT_AVAILABLE) return { kind: "running" };
    throw error;
  }
  const row = await trx
    .selectFrom("idempotency")
    .select(["request_hash", "answer"])
    .where("principal", "=", principal)
    .where("key", "=", key)
    .executeTakeFirst();
  if (row === undefined || row.answer === null) return { kind: "running" };
  return { kind: "kept", requestHash: row.request_hash, answer: row.answer };
}

/** Keeps the answer with the effect, in the transaction of the claim. `answer` is encrypted. */
export async function keepAnswer(
  trx: Db,
  { principal, key }: IdempotencyKey,
  status: number,
  answer: Buffer,
): Promise<void> {
  await trx
    .updateTable("idempotency")
    .set({ state: "done", status, answer })
    .where("principal", "=", principal)
    .where("key", "=", key)
    .execute();
}

/** Keeps an answer that came without an effect: the transaction of the claim is gone. */
export async function keepRefusal(db: Db, request: IdempotencyKey, status: number, answer: Buffer): Promise<void> {
  const { principal, key, requestHash } = request;
  await db
    .insertInto("idempotency")
    .values({
      principal,
      key,
      request_hash: requestHash,
      state: "done",
      status,
      answer,
      created_at: sql<Date>`pm_now()`,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** For a job: removes what is older than a day. */
export async function forgetKeys(db: Db): Promise<number> {
  const gone = await db.deleteFrom("idempotency").where("created_at", "<", KEPT_FOR).executeTakeFirst();
  return Number(gone.numDeletedRows);
}
