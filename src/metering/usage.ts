/**
 * What an account has used in a period, as the API, the CLI and the portal show it.
 *
 * `used` is the counter that decides at the door: the sum of the ledger's accept entries. Corrections are shown apart;
 * they change the bill, never the counter (metering/correction.ts). Refused messages are in neither.
 */
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";
import type { Period } from "./period.ts";

/** Units, but for `refused`. */
export type SubaccountUsage = Readonly<{
  period: Period;
  used: number;
  limit: number | null;
  topUp: number;
  remaining: number | null; // max(0, limit + topUp - used); null: bounded by the master only
  blockedBy: "master" | null; // the master has nothing left
  refused: number; // messages, for whatever reason
  corrections: number;
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

/** `date` is a day of the master's time zone, `2026-11-01`. Corrections stand on the day they were made. */
export type UsageDay = Readonly<{
  date: string;
  units: number;
  messages: number;
  corrections: number;
  refused: number;
}>;

/**
 * @param period its start date in the master's time zone, `2026-11-01`; undefined: the running one.
 * @throws Fault not-found (also for another tenant's id), invalid at `/period`.
 */
export declare function readUsage(
  db: Db,
  principal: Principal,
  id: SubaccountId,
  period: string | undefined,
  clock: Clock,
): Promise<SubaccountUsage>;

/** The running period of several subaccounts, for lists. Those the principal may not see are left out. */
export declare function readUsages(
  db: Db,
  principal: Principal,
  ids: readonly SubaccountId[],
  clock: Clock,
): Promise<ReadonlyMap<SubaccountId, SubaccountUsage>>;

/** The master's own. The operator acts for a master to see it. @throws Fault forbidden for a subaccount or an operator who acts for nobody. */
export declare function readMasterUsage(
  db: Db,
  principal: Principal,
  period: string | undefined,
  clock: Clock,
): Promise<MasterUsage>;

/** Its subaccounts in order of their ids; `limit + 1` rows, the last tells that there is more. */
export declare function listSubaccountUsage(
  db: Db,
  principal: Principal,
  filter: Readonly<{ period?: string | undefined; after?: SubaccountId | undefined; limit: number }>,
  clock: Clock,
): Promise<SubaccountUsageItem[]>;

export declare function readDailyUsage(
  db: Db,
  principal: Principal,
  id: SubaccountId,
  period: string | undefined,
  clock: Clock,
): Promise<{ period: Period; days: UsageDay[] }>;
