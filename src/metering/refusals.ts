/**
 * What was refused, counted per minute, subaccount and reason, with one sample. Refusals are shown; they are never billed.
 *
 * Invariant: memory is bounded (`maxCounters` counters; beyond, counts go on into one counter per subaccount without a
 * sample, then are dropped and logged); each refusal is written once.
 * On failure of the database: the counts wait for the next flush.
 */

import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Period } from "./period.ts";

export const refusalReasons = [
  "quota-subaccount",
  "quota-master",
  "account", // closed, disabled, suspended, expired
  "sender", // sender domain not verified
  "size",
  "recipients",
  "content", // malformed message, loop
  "rate",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export type Refusal = Readonly<{
  masterId: MasterId;
  subaccountId: SubaccountId;
  period: Period;
  reason: RefusalReason;
  /** Recipients of the refused message; 0 where it was refused before they were known. */
  units: number;
  sample?: Readonly<{ from?: string; recipient?: string; clientAddress?: string; detail?: string }>;
}>;

export type RefusalRecorder = AsyncDisposable &
  Readonly<{
    /** Counts in memory; never throws, never waits. */
    refused(refusal: Refusal): void;
    /** Writes what has been counted so far. */
    flush(): Promise<void>;
  }>;

export type RefusalRecorderOptions = Readonly<{
  database: Pick<Database, "pool">;
  clock: Clock;
  log: Log;
  flushMs?: number;
  maxCounters?: number;
}>;

export declare function createRefusalRecorder(options: RefusalRecorderOptions): RefusalRecorder;
