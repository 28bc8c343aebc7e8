/**
 * What an account has used in a period, as the API, the CLI and the portal show it.
 *
 * `used` is the counter that decides at the door: the sum of the ledger's accept entries. Corrections are shown apart;
 * they change the bill, never the counter (metering/correction.ts). Refused messages are in neither.
 */
import type { Subaccount } from "../accounts/account.ts";
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { type Counters, readCounters, readMasterCounters } from "./counters.ts";
import { findPeriod } from "./find-period.ts";
import { type Period, periodAt } from "./period.ts";

/** Units, but for `refused`. */
export type SubaccountUsage = Readonly<{
  period: Period;
  used: number;
  limit: number | null;
  topUp: number;
  remaining: number | null; // max(0, limit + topUp + credits.used - used) + credits.left; null: bounded by the master only
  blockedBy: "master" | null; // the master has nothing left
  refused: number; // messages, for whatever reason
  corrections: number;
  /** Units of `used` that credits have paid, and what they still hold, whatever the period. */
  credits: Readonly<{ used: number; left: number }>;
  /** Left out where a subaccount asks. Null: unlimited. */
  masterRemaining?: number | null;
}>;

/** `remaining` is what may still be sent: cap - used. */
export type MasterUsage = Readonly<{
  period: Period;
  used: number;
  allowance: number | null;
  cap: number | null;
  remaining: number | null;
  corrections: number;
}>;

export type SubaccountUsageItem = Readonly<{ id: SubaccountId; name: string }> & SubaccountUsage;

/**
 * @param date the period's start date in the master's time zone, `2026-11-01`; undefined: the running one.
 * @throws Fault not-found (also for another tenant's id), invalid at `/period`.
 */
export async function readUsage(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  date: string | undefined,
  clock: Clock,
): Promise<SubaccountUsage> {
  const { id, masterId, calendar } = await findSubaccount(db, principal, ref, clock);
  const period = await findPeriod(db, { masterId, calendar }, date, clock);
  const counters = await readCounters(db, [{ id, masterId, period }]);
  return usageOf(counters.get(id)!, period, principal);
}

/** The running period of each of these subaccounts, for lists. */
export async function readUsages(
  db: Db,
  principal: Principal,
  subaccounts: readonly Pick<Subaccount, "id" | "masterId" | "calendar">[],
  clock: Clock,
): Promise<ReadonlyMap<SubaccountId, SubaccountUsage>> {
  const now = clock.now();
  const asked = subaccounts.map(({ id, masterId, calendar }) => ({ id, masterId, period: periodAt(calendar, now) }));
  const counters = await readCounters(db, asked);
  return new Map(asked.map(({ id, period }) => [id, usageOf(counters.get(id)!, period, principal)]));
}

/**
 * The master's own figures, for itself or for the operator who names it.
 * @throws Fault not-found, invalid at `/period`
 */
export async function readMasterUsage(
  db: Db,
  principal: Principal,
  id: MasterId | undefined,
  date: string | undefined,
  clock: Clock,
): Promise<MasterUsage> {
  const { id: masterId, calendar } = await findMaster(db, principal, id, clock);
  const period = await findPeriod(db, { masterId, calendar }, date, clock);
  const { used, cap, base, corrections } = await readMasterCounters(db, masterId, period);
  return { period, used, allowance: base, cap, remaining: left(cap, used), corrections };
}

export type SubaccountUsageFilter = Readonly<{
  masterId?: MasterId | undefined; // the operator's choice
  period?: string | undefined;
  after?: SubaccountId | undefined; // the last id of the page before
  limit: number;
}>;

/** A master's subaccounts in order of their ids; `limit + 1` rows: the last tells that there is more. */
export async function listSubaccountUsage(
  db: Db,
  principal: Principal,
  filter: SubaccountUsageFilter,
  clock: Clock,
): Promise<SubaccountUsageItem[]> {
  const { id: masterId, calendar } = await findMaster(db, principal, filter.masterId, clock);
  const period = await findPeriod(db, { masterId, calendar }, filter.period, clock);
  let query = db
    .selectFrom("subaccount")
    .select(["id", "name"])
    .where("master_id", "=", masterId)
    .where("sandbox", "=", false) // what it uses is in no sum
    .orderBy("id")
    .limit(filter.limit + 1);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const page = await query.execute();
  const counters = await readCounters(
    db,
    page.map(({ id }) => ({ id, masterId, period })),
  );
  return page.map(({ id, name }) => ({ id, name, ...usageOf(counters.get(id)!, period, principal) }));
}

function usageOf(counters: Counters, period: Period, principal: Principal): SubaccountUsage {
  const { used, cap, topUp, creditUsed, creditsLeft, refused, corrections, masterUsed, masterCap } = counters;
  const remaining = left(cap, used);
  const masterRemaining = left(masterCap, masterUsed);
  return {
    period,
    used,
    limit: cap === null ? null : cap - topUp - creditUsed,
    topUp,
    remaining: remaining === null ? null : remaining + creditsLeft,
    blockedBy: masterRemaining === 0 && creditsLeft === 0 ? "master" : null,
    refused,
    corrections,
    credits: { used: creditUsed, left: creditsLeft },
    ...(principal.kind === "subaccount" ? {} : { masterRemaining }),
  };
}

function left(cap: number | null, used: number): number | null {
  return cap === null ? null : Math.max(0, cap - used);
}
