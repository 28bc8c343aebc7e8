/**
 * Idempotency-Key: a creation happens once per key, and its answer, once-shown secrets included, is given again.
 *
 * Invariant: effect and kept answer commit together (platform/idempotency); answers lie encrypted.
 * On failure: 429 and 5xx are not kept, so the same key may be tried again; a crash leaves nothing behind.
 */
import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import type { Db } from "../platform/database.ts";
import { claimKey, type IdempotencyKey, keepAnswer, keepRefusal } from "../platform/idempotency.ts";
import type { Keyring } from "../platform/secrets.ts";
import { Problem } from "./problem.ts";
import { read } from "./validate.ts";

/** An answer as it is sent. Only JSON is ever kept. */
export type Rendered = Readonly<{ status: number; headers: Record<string, string>; body: string }>;

const keyField = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "This must be 1 to 255 visible ASCII characters.")
  .openapi({ description: "Repeating a request with the same key within 24 h gives the first answer again." });

export const idempotencyHeader = z.object({ "Idempotency-Key": keyField.optional() });

/** @throws Problem invalid */
export function readKey(header: string | undefined): string | undefined {
  return read(idempotencyHeader, { "Idempotency-Key": header })["Idempotency-Key"];
}

/** Two requests are the same when method, path with query, and the body's values are. */
export function hashRequest(method: string, url: string, body: unknown): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([method, url, body ?? null]))
    .digest();
}

export type Once = Readonly<{
  db: Db;
  keyring: Keyring;
  request: IdempotencyKey;
  /** Runs the rule in the given transaction. */
  run(trx: Db): Promise<Rendered>;
  /** What the caller is told about an error. */
  refusal(error: unknown): Rendered;
}>;

class Replay extends Error {
  readonly rendered: Rendered;
  constructor(rendered: Rendered) {
    super("replayed");
    this.rendered = rendered;
  }
}

export async function once({ db, keyring, request, run, refusal }: Once): Promise<Rendered> {
  const context = `idempotency:${request.principal}:${request.key}`;
  const seal = (rendered: Rendered) => keyring.encrypt(Buffer.from(JSON.stringify(rendered)), context);
  const open = (answer: Buffer) => JSON.parse(keyring.decrypt(answer, context).toString()) as Rendered;
  try {
    return await db.transaction().execute(async (trx) => {
      await claim(trx, request, open);
      const rendered = await run(trx);
      await keepAnswer(trx, request, rendered.status, seal(rendered));
      return rendered;
    });
  } catch (error) {
    if (error instanceof Replay) return error.rendered;
    const rendered = refusal(error);
    const foreign =
      error instanceof Problem && (error.kind === "still-running" || error.kind === "idempotency-mismatch");
    if (foreign || rendered.status === 429 || rendered.status >= 500) throw error;
    await keepRefusal(db, request, rendered.status, seal(rendered));
    return rendered;
  }
}

/** Returns when the key is ours. */
async function claim(trx: Db, request: IdempotencyKey, open: (answer: Buffer) => Rendered): Promise<void> {
  const claimed = await claimKey(trx, request);
  if (claimed.kind === "running") {
    throw new Problem("still-running", "The first request with this Idempotency-Key is still running.", {
      headers: { "Retry-After": "1" },
    });
  }
  if (claimed.kind !== "kept") return;
  if (!claimed.requestHash.equals(request.requestHash)) {
    throw new Problem("idempotency-mismatch", "This Idempotency-Key was used with another request.", {
      mistakes: [{ pointer: "/Idempotency-Key", detail: "Take a new key for another request." }],
    });
  }
  const { headers, ...rest } = open(claimed.answer);
  throw new Replay({ ...rest, headers: { ...headers, "Idempotency-Replayed": "true" } });
}
