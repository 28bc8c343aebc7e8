/**
 * One accept call: one statement, one transaction, one round trip. What it means when it fails is told apart here.
 */
import type { Pool } from "pg";
import { queryWithBytes } from "../platform/bytes-query.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { ACCEPT, ACCEPT_SANDBOX, type Batch, type UsageKey } from "./batch.ts";

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
  rate: 7,
  reserved: 8,
} as const;

export type Called =
  | Readonly<{ kind: "decided"; verdicts: Verdicts; keys: readonly UsageKey[]; sentAtMs: number }>
  /** A usage row is missing: nothing was stored. */
  | Readonly<{ kind: "cold" }>
  /** Nothing was stored, and one message or one tenant of the batch may be why. `locked`: a row could not be had in time. */
  | Readonly<{ kind: "suspect"; locked: boolean }>
  /** Nothing was stored. */
  | Readonly<{ kind: "failed" }>
  /** The connection was lost after the call was sent. */
  | Readonly<{ kind: "unknown"; sentAtMs: number }>;

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
    const { rows } = await queryWithBytes<Verdicts>(client, {
      ...(batch.sandbox ? ACCEPT_SANDBOX : ACCEPT),
      values: batch.values,
      pieces: batch.bodies,
    });
    metrics.commitSeconds.observe((performance.now() - sentAtMs) / 1000);
    metrics.batchMessages.observe(messages);
    return { kind: "decided", verdicts: rows[0] as Verdicts, keys: batch.keys, sentAtMs };
  } catch (error) {
    const { code } = error as { code?: string };
    if (saysError(code)) return refusalOf(code, error, log);
    broken = error as Error;
    log.warn({ event: "accept.unknown", err: error, messages }, "the result of the accept call is unknown");
    return { kind: "unknown", sentAtMs };
  } finally {
    client.release(broken);
  }
}

/**
 * A statement that failed with an ERROR was not committed. Told by SQLSTATE, since the severity's text is translated: all
 * but a lost connection (class 08), a server that ends (57P01 to 57P05) and a session that was ended (25P03).
 */
function saysError(code: string | undefined): code is string {
  return code !== undefined && /^(?!08|57P|25P03)[0-9A-Z]{5}$/.test(code);
}

/** Data, constraints, deadlock and lock timeout can be one message's doing. */
function refusalOf(code: string, error: unknown, log: Log): Called {
  if (code === "PM001") return { kind: "cold" };
  log.warn({ event: "accept.error", err: error }, "the accept call failed");
  if (!["22", "23", "40", "55"].includes(code.slice(0, 2))) return { kind: "failed" };
  return { kind: "suspect", locked: code.startsWith("55") || code.startsWith("40") };
}
