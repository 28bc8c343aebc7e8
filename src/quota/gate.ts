/**
 * The gate: decides fast whether a message may go on to the door (spool/accept), where Postgres makes it true.
 *
 * Invariant: a gate may be wrong for a moment, high or low; it never says "over" that the usage rows have not confirmed,
 * and what it lets through is decided again under locks.
 * On failure: a gate that can't answer lets the message pass; the door decides.
 */
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Period } from "../metering/period.ts";

/** The accounts and the period that a message would be charged to. `units`: unique envelope recipients. */
export type Charge = Readonly<{ masterId: MasterId; subaccountId: SubaccountId; period: Period; units: number }>;

export type Reservation =
  | Readonly<{ kind: "reserved" }>
  /** Confirmed from the usage rows. used and cap are those of the account that is over; cap is never null here. */
  | Readonly<{ kind: "over"; account: "subaccount" | "master"; used: number; cap: number; resetsAt: Date }>
  | Readonly<{ kind: "closed" }>;

/** What Postgres said about a usage row: absolute, ordered by version. */
export type Standing = Readonly<{
  accountId: MasterId | SubaccountId;
  masterId: MasterId;
  periodStart: Date;
  periodEnd: Date;
  used: number;
  cap: number | null;
  version: number;
}>;

export interface Gate {
  /** Counts the units if they fit. With units 0 it only asks whether anything is left (at MAIL). */
  reserve(charge: Charge): Promise<Reservation>;
  /** Gives back what the door refused or surely did not commit. */
  release(charge: Charge): Promise<void>;
  /** Sets counters from rows, where newer. After limit changes, top-ups, and on every disagreement. */
  publish(standings: readonly Standing[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
