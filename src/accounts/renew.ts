/**
 * Renewing a subaccount: another end date, and where it was closed, its reopening; with another plan where one is chosen.
 *
 * Invariant: all of it or nothing. Notices of the old date are not told any more (lifecycle/expiring).
 */
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Subaccount } from "./account.ts";
import { changeSubaccount } from "./change-subaccount.ts";
import { findSubaccount, type SubaccountRef } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { findPlanNamed } from "./plan.ts";
import type { Principal } from "./principal.ts";
import { isRenewable } from "./states.ts";
import { switchPlan } from "./switch-plan.ts";
import { transitionSubaccount } from "./transition.ts";
import { requireVersion } from "./version.ts";

export type Renewal = Readonly<{
  /** Null: no end date. */
  expiresAt?: Date | null | undefined;
  /** From the end date, or from now where that has passed. Without either: one cycle of the plan. */
  months?: number | undefined;
  plan?: string | undefined;
  /** Instead of the plan's. */
  monthlyLimit?: number | null | undefined;
  billingProfile?: string | null | undefined;
}>;

const MAX_MONTHS = 120;

/** @throws Fault not-found, forbidden, invalid at /expires_at, /months or /plan, conflict, precondition */
export async function renewSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  wanted: Renewal,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Subaccount> {
  requireMasterChange(principal);
  check(wanted, clock);
  return inTransaction(db, async (trx) => {
    const before = await findSubaccount(trx, principal, ref, clock);
    requireVersion(before, options.version);
    if (!isRenewable(before)) throw new Fault("conflict", "It neither ends nor is closed: there is nothing to renew.");
    const expiresAt = await newEnd(trx, before, wanted, clock);
    const { id, masterId } = before;
    const closed = before.ownState === "closed" || before.ownState === "archived";
    if (closed) await transitionSubaccount(trx, principal, id, "reopen", {}, clock);
    const { plan, monthlyLimit, billingProfile } = wanted;
    if (plan !== undefined) await switchPlan(trx, principal, id, { plan, when: "now", monthlyLimit }, {}, clock);
    const limit = plan === undefined ? monthlyLimit : undefined;
    const patch = { expiresAt, monthlyLimit: limit, billingProfile };
    const after = await changeSubaccount(trx, principal, id, patch, {}, clock);
    const ends = { before: { expires_at: before.expiresAt }, after: { expires_at: after.expiresAt } };
    const what = { action: "subaccount.renewed", target: formatId("sub", id), ...ends };
    await record(trx, { principal, ...what, masterId, subaccountId: id }, clock);
    const data = { expires_at: after.expiresAt?.toISOString() ?? null, state: after.state };
    await emit(trx, { type: "subaccount.renewed", masterId, subaccountId: id, at: clock.now(), data }, clock);
    return after;
  });
}

function check({ expiresAt, months }: Renewal, clock: Clock): void {
  if (expiresAt !== undefined && months !== undefined) {
    throw invalid("/months", "Give an end date or a number of months, not both.");
  }
  if (expiresAt != null && expiresAt <= clock.now()) throw invalid("/expires_at", "This lies in the past.");
  if (months !== undefined && (!Number.isInteger(months) || months < 1 || months > MAX_MONTHS)) {
    throw invalid("/months", `This must be a whole number from 1 to ${MAX_MONTHS}.`);
  }
}

async function newEnd(trx: Db, before: Subaccount, wanted: Renewal, clock: Clock): Promise<Date | null> {
  if (wanted.expiresAt !== undefined) return wanted.expiresAt;
  const months = wanted.months ?? (before.expiresAt === null ? 0 : await cycleOf(trx, before, wanted.plan));
  if (months === 0) return null;
  const now = clock.now();
  return addMonths(before.expiresAt !== null && before.expiresAt > now ? before.expiresAt : now, months);
}

async function cycleOf(trx: Db, { masterId, plan }: Subaccount, chosen: string | undefined): Promise<number> {
  const name = chosen ?? plan;
  const found = name === null ? undefined : await findPlanNamed(trx, masterId, name);
  if (found === undefined) throw invalid("/expires_at", "Say until when: an end date, a number of months, or a plan.");
  return found.terms.cycle === "yearly" ? 12 : 1;
}

/** The same day and time of a later month in UTC, or that month's last day. */
export function addMonths(from: Date, months: number): Date {
  const at = new Date(from);
  at.setUTCDate(1);
  at.setUTCMonth(at.getUTCMonth() + months);
  const length = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
  at.setUTCDate(Math.min(from.getUTCDate(), length));
  return at;
}
