/**
 * Limits of a short time, as a process's gate knows them: n units in any minute, hour or day of a subaccount or a credential.
 *
 * They are exact at the door, with any number of processes, with and without Redis: accept_batch counts them in the rows of
 * rate_window, under locks, in the transaction that stores the message (migrations/0020). Here and in Redis they are asked early, so
 * that who is over is refused before the body. When Redis is flushed its windows begin anew: the door then refuses what it lets
 * through, and this process remembers that until there is room. Where Redis has counted what was never stored, the rows say so.
 *
 * Invariant: a refusal comes from the rows. It is remembered until the moment that the rows have named, since a window only
 * empties by time, for messages of no fewer units, and while the account's limits are what they were (the guard is the key:
 * accounts/sending.ts makes another one after a change, and every few seconds).
 * On failure: what can't be asked is not known, and the message passes to the door.
 */
import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import { type Charge, type Guard, RESERVED, type Reservation } from "./gate.ts";

export interface Rates {
  /** A refusal that the rows have confirmed; undefined: ask. Costs nothing. */
  refusal(charge: Charge): Reservation | undefined;
  /** Asks the rows. `full`: the door has just found no room, so there is none before the next second. */
  ask(charge: Charge, seen?: "full"): Promise<Reservation>;
  /** The same, at most once a second for an account that has room. Undefined: it fits, or was asked a moment ago. */
  askNowAndThen(charge: Charge): Promise<Reservation | undefined>;
}

type Known = { askedAtMs: number; units: number; untilMs: number };

const WAIT = { name: "rate_wait", text: "select rate_wait($1, $2, $3) as wait" } as const;
const NEVER = -1;
const PAUSE_MS = 1000;

export type RatesDeps = Readonly<{ pool: Pool; log: Log; monotonicMs?: () => number }>;

export function createRates({ pool, log, monotonicMs = () => performance.now() }: RatesDeps): Rates {
  const known = new WeakMap<Guard, Known>();

  function remember(guard: Guard, units: number, seconds: number): void {
    const now = monotonicMs();
    const untilMs = seconds === NEVER ? Number.POSITIVE_INFINITY : now + seconds * 1000;
    known.set(guard, { askedAtMs: now, units, untilMs });
  }

  async function ask(charge: Charge, seen?: "full"): Promise<Reservation> {
    const { guard, subaccountId, credentialId = null } = charge;
    if (guard === undefined) return seen === "full" ? refusalFor(1) : RESERVED;
    const units = Math.max(charge.units, 1);
    try {
      const { rows } = await pool.query<{ wait: number }>({ ...WAIT, values: [subaccountId, credentialId, units] });
      const wait = rows[0]?.wait ?? 0;
      const seconds = seen === "full" && wait === 0 ? 1 : wait;
      remember(guard, units, seconds);
      return seconds === 0 ? RESERVED : refusalFor(seconds);
    } catch (error) {
      log.warn({ event: "quota.windows_unreadable", err: error }, "the windows could not be read: the door decides");
      return seen === "full" ? refusalFor(1) : RESERVED;
    }
  }

  return {
    refusal({ guard, units }) {
      if (guard === undefined) return undefined;
      const entry = known.get(guard);
      if (entry === undefined || Math.max(units, 1) < entry.units) return undefined;
      const leftMs = entry.untilMs - monotonicMs();
      if (leftMs <= 0) return undefined;
      return refusalFor(leftMs === Number.POSITIVE_INFINITY ? NEVER : Math.ceil(leftMs / 1000));
    },
    ask,
    async askNowAndThen(charge) {
      const { guard } = charge;
      if (guard === undefined || guard.rates.length === 0) return undefined;
      if (monotonicMs() - (known.get(guard)?.askedAtMs ?? Number.NEGATIVE_INFINITY) < PAUSE_MS) return undefined;
      const answer = await ask(charge);
      return answer === RESERVED ? undefined : answer;
    },
  };
}

function refusalFor(seconds: number): Reservation {
  return { kind: "rate", retryAfterSeconds: seconds === NEVER ? null : seconds };
}
