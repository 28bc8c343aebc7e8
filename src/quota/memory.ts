/**
 * What the usage rows said less than a second ago, so that a client that goes on after its limit costs no statement for
 * each message.
 *
 * Invariant: bounded; nothing older than a second is used; of two standings the newer version stays.
 */
import type { AccountId } from "../platform/ids.ts";
import { type Charge, decide, RESERVED, type Reservation, type Standing } from "./gate.ts";

const LIFETIME_MS = 1000;
const MAX_ACCOUNTS = 10_000;
const PLENTY_MS = 250;

export interface Memory {
  learn(standings: readonly Standing[]): void;
  /** A refusal that the rows have confirmed; undefined: ask. */
  refusal(charge: Charge): Reservation | undefined;
  /** Counts the units if what this process has let through since surely leaves room for them. */
  take(charge: Charge): boolean;
  giveBack(charge: Charge): void;
  /** The account was far from full: for a moment nobody needs to ask whether anything is left. */
  sawPlenty(charge: Charge): void;
  hasPlenty(charge: Charge): boolean;
  /** Without an id: everything. */
  forget(accountId?: AccountId): void;
}

type Entry = { standing: Standing; taken: number; learntAtMs: number };

export function createMemory(monotonicMs: () => number = () => performance.now()): Memory {
  const entries = new Map<AccountId, Entry>();
  const plentyUntilMs = new Map<AccountId, number>();

  function fresh(accountId: AccountId, start: Date): Entry | undefined {
    const entry = entries.get(accountId);
    if (entry === undefined || entry.standing.periodStart.getTime() !== start.getTime()) return undefined;
    return monotonicMs() - entry.learntAtMs < LIFETIME_MS ? entry : undefined;
  }

  const both = ({ subaccountId, masterId, period }: Charge) =>
    [fresh(subaccountId, period.start), fresh(masterId, period.start)] as const;

  return {
    learn(standings) {
      for (const standing of standings) {
        const known = fresh(standing.accountId, standing.periodStart);
        if (known !== undefined && known.standing.version > standing.version) continue;
        entries.delete(standing.accountId); // the oldest stands first
        entries.set(standing.accountId, { standing, taken: 0, learntAtMs: monotonicMs() });
      }
      for (const oldest of entries.keys()) {
        if (entries.size <= MAX_ACCOUNTS) break;
        entries.delete(oldest);
      }
    },
    refusal(charge) {
      if (charge.guard?.credits) return undefined; // a neighbour's refusal for the master's cap is not its own
      const [subaccount, master] = both(charge);
      const decision = decide(charge.units, subaccount?.standing, master?.standing, charge.guard?.transactional);
      return decision === RESERVED ? undefined : decision;
    },
    take(charge) {
      const [subaccount, master] = both(charge);
      if (subaccount === undefined || master === undefined) return false;
      const kept = charge.guard?.transactional ? 0 : (subaccount.standing.reserve ?? 0);
      if (!leavesRoom(subaccount, charge.units + kept) || !leavesRoom(master, charge.units)) return false;
      subaccount.taken += charge.units;
      master.taken += charge.units;
      return true;
    },
    sawPlenty({ subaccountId }) {
      if (plentyUntilMs.size >= MAX_ACCOUNTS) plentyUntilMs.clear();
      plentyUntilMs.set(subaccountId, monotonicMs() + PLENTY_MS);
    },
    hasPlenty: ({ subaccountId }) => (plentyUntilMs.get(subaccountId) ?? 0) > monotonicMs(),
    forget(accountId) {
      if (accountId === undefined) {
        entries.clear();
        plentyUntilMs.clear();
      } else {
        entries.delete(accountId);
        plentyUntilMs.delete(accountId);
      }
    },
    giveBack(charge) {
      for (const entry of both(charge)) {
        if (entry !== undefined) entry.taken = Math.max(0, entry.taken - charge.units);
      }
    },
  };
}

function leavesRoom({ standing, taken }: Entry, units: number): boolean {
  if (standing.open === false) return false;
  return standing.cap === null || standing.used + taken + Math.max(units, 1) <= standing.cap;
}
