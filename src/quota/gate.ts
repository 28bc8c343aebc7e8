/**
 * The gate: decides fast whether a message may go on to the door (spool/accept), where Postgres makes it true.
 *
 * Invariant: a gate may be wrong for a moment, high or low; it never says "over" or "closed" that the usage rows have not
 * confirmed within the last second, and what it lets through is decided again under locks.
 * On failure: a gate that can't answer lets the message pass; the door decides. No method throws.
 */
import type { Period } from "../metering/period.ts";
import type { CredentialId, MasterId, SubaccountId } from "../platform/ids.ts";

/** At most so many units in any `span` (seconds) of a subaccount or a credential. */
export type Rate = Readonly<{ id: SubaccountId | CredentialId; span: 60 | 3600 | 86400; most: number }>;

/** What holds a message back beside the monthly limits. */
export type Guard = Readonly<{
  /** Units of the subaccount's limit that are kept for transactional credentials. */
  reserve: number;
  /** The message comes with such a credential. */
  transactional: boolean;
  rates: readonly Rate[];
  /** It has credits, or had a moment ago: what its rows say of its limits alone does not refuse it. */
  credits?: boolean;
}>;

/**
 * The accounts and the period that a message would be charged to. `units`: unique envelope recipients. Without `guard`: nothing
 * but the monthly limits holds it back, as far as is known here.
 */
export type Charge = Readonly<{
  masterId: MasterId;
  subaccountId: SubaccountId;
  period: Period;
  units: number;
  credentialId?: CredentialId | null;
  guard?: Guard;
}>;

/**
 * Confirmed from the usage rows. used and cap are those of the account that is over; cap is never null here. `reserved`: there is
 * something left, and all of it is kept for transactional mail.
 */
export type Over = Readonly<{
  kind: "over";
  account: "subaccount" | "master";
  used: number;
  cap: number;
  resetsAt: Date;
  reserved?: true;
}>;

export type Reservation =
  | Readonly<{ kind: "reserved" }>
  | Over
  /** Confirmed from the windows' rows. Null: never, since its units alone are more than a limit. */
  | Readonly<{ kind: "rate"; retryAfterSeconds: number | null }>
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
  /** false: may not send, whatever is left. */
  open?: boolean;
  /** true: the period is over by Postgres's clock. This node's is behind, and the row tells nothing of now. */
  ended?: boolean;
  /** Units of the cap that are kept for transactional credentials; left out where nobody has looked. */
  reserve?: number;
  /** Units that its credits still hold, where it may have any. */
  credits?: number;
}>;

export interface Gate {
  /** Counts the units if they fit. With units 0 it only asks whether anything is left (at MAIL). */
  reserve(charge: Charge): Promise<Reservation>;
  /** Gives back what the door refused or surely did not commit. Takes the very charge that was reserved. */
  release(charge: Charge): Promise<void>;
  /** The door has found a window full: what the client is to be told, and this process remembers it. */
  rateReached(charge: Charge): Promise<Reservation>;
  /** Sets counters from rows, where newer. After limit changes, top-ups, and on every disagreement. */
  publish(standings: readonly Standing[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const RESERVED: Reservation = { kind: "reserved" };
const CLOSED: Reservation = { kind: "closed" };

/**
 * The rule of accept_batch (migrations/0006). An account that is not known refuses nothing, nor does one whose period has
 * ended: the door charges the next, and refuses who is closed.
 */
export function decide(
  units: number,
  subaccount: Standing | undefined,
  master: Standing | undefined,
  transactional = false,
): Reservation {
  if (subaccount?.ended === true || master?.ended === true) return RESERVED;
  if (subaccount?.open === false || master?.open === false) return CLOSED;
  const full = over("subaccount", subaccount, units) ?? over("master", master, units);
  const refusal = full ?? (transactional ? undefined : reserved(subaccount, units)) ?? RESERVED;
  return refusal !== RESERVED && creditsPay(units, subaccount, master, transactional) ? RESERVED : refusal;
}

/** What is beyond both caps, and beyond what is kept for others. */
function creditsPay(
  units: number,
  subaccount: Standing | undefined,
  master: Standing | undefined,
  transactional: boolean,
) {
  const { credits = 0, reserve = 0 } = subaccount ?? {};
  const beyond = (standing: Standing | undefined, kept: number) =>
    standing === undefined || standing.cap === null ? 0 : standing.used + Math.max(units, 1) + kept - standing.cap;
  const short = Math.max(beyond(subaccount, transactional ? 0 : reserve), beyond(master, 0));
  return Math.min(short, Math.max(units, 1)) <= credits;
}

/** Only mail of transactional credentials gets the rest. */
function reserved(standing: Standing | undefined, units: number): Reservation | undefined {
  if (standing === undefined || standing.cap === null || !standing.reserve) return undefined;
  const { used, cap, reserve, periodEnd } = standing;
  const fits = used + reserve + Math.max(units, 1) <= cap;
  return fits ? undefined : { kind: "over", account: "subaccount", used, cap, resetsAt: periodEnd, reserved: true };
}

function over(
  account: "subaccount" | "master",
  standing: Standing | undefined,
  units: number,
): Reservation | undefined {
  if (standing === undefined || standing.cap === null) return undefined;
  const { used, cap, periodEnd } = standing;
  return used + Math.max(units, 1) > cap ? { kind: "over", account, used, cap, resetsAt: periodEnd } : undefined;
}
