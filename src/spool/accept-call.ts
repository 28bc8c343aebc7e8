/**
 * One accept call: one statement, one transaction, one round trip. What it means when it fails is told apart here.
 */
import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { ACCEPT, type Batch, type UsageKey } from "./batch.ts";

/** Columns as `accept_batch` returns them: per message, and per usage row of the batch. */
export type Verdicts = Readonly<{
  verdict: readonly number[];
  leased: readonly boolean[];
  k_used: readonly number[];
  k_cap: readonly (number | null)[];
  k_version: readonly number[];
}>;

export const verdictCode = {
  accepted: 0,
  overSubaccount: 1,
  overMaster: 2,
  closed: 3,
  afterPeriod: 4,
  beforePeriod: 5,
  voided: 6,
} as const;

export type Called =
  | Readonly<{ kind: "decided"; verdicts: Verdicts; keys: readonly UsageKey[]; sentAtMs: number }>
  /** A usage row is missing: nothing was stored. */
  | Readonly<{ kind: "cold" }>
  /** Nothing was stored, and one message or one tenant of the batch may be why. */
  | Readonly<{ kind: "suspect" }>
  /** Nothing was stored. */
  | Readonly<{ kind: "failed" }>
  /** The connection was lost after the call was sent. */
  | Readonly<{ kind: "unknown" }>;

export type AcceptCallDeps = Readonly<{ pool: Pool; metrics: Metrics; log: Log }>;

export async function callAccept(
  { pool, metrics, log }: AcceptCallDeps,
  batch: Batch,
  messages: number,
): Promise<Called> {
  const client = await pool.connect().catch((error: unknown) => {
    log.warn({ event: "accept.no_connection", err: error }, "no database connection for acceptance");
    return undefined;
  });
  if (client === undefined) return { kind: "failed" };
  const sentAtMs = performance.now();
  let broken: Error | undefined;
  try {
    const { rows } = await client.query<Verdicts>({ ...ACCEPT, values: batch.values as unknown[] });
    metrics.commitSeconds.observe((performance.now() - sentAtMs) / 1000);
    metrics.batchMessages.observe(messages);
    return { kind: "decided", verdicts: rows[0] as Verdicts, keys: batch.keys, sentAtMs };
  } catch (error) {
    const { severity, code } = error as { severity?: string; code?: string };
    if (severity === "ERROR") return refusalOf(code, error, log);
    broken = error as Error;
    log.warn({ event: "accept.unknown", err: error, messages }, "the result of the accept call is unknown");
    return { kind: "unknown" };
  } finally {
    client.release(broken);
  }
}

/** An ERROR means that nothing was committed. Data, constraints, deadlock and lock timeout can be one message's doing. */
function refusalOf(code: string | undefined, error: unknown, log: Log): Called {
  if (code === "PM001") return { kind: "cold" };
  log.warn({ event: "accept.error", err: error }, "the accept call failed");
  return { kind: ["22", "23", "40", "55"].includes(code?.slice(0, 2) ?? "") ? "suspect" : "failed" };
}
