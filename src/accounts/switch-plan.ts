/**
 * Another plan for a subaccount: at once, or with the period that starts next.
 *
 * Invariant: a plan that starts with the next period rules from its first instant, by Postgres's clock, and not before; until
 * then it can be called off. With a limit below what is used already the account stops sending: it may, and is told so.
 */
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master, Subaccount } from "./account.ts";
import { lockAllowance, requireLimit } from "./allocation.ts";
import { changeSubaccount } from "./change-subaccount.ts";
import { orNull, units } from "./fields.ts";
import { findSubaccount, type SubaccountRef } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { findPlanNamed, limitUnder, type Plan, planColumns } from "./plan.ts";
import type { Principal } from "./principal.ts";
import { requireVersion } from "./version.ts";

export type PlanSwitch = Readonly<{
  plan: string;
  when: "now" | "next_period";
  /** Instead of the plan's. */
  monthlyLimit?: number | null | undefined;
}>;

/** @throws Fault not-found, forbidden, invalid at /plan or /monthly_limit, conflict when there is no room, precondition */
export async function switchPlan(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  wanted: PlanSwitch,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Subaccount> {
  requireMasterChange(principal);
  const wrong = wanted.monthlyLimit === undefined ? undefined : orNull(units)(wanted.monthlyLimit);
  if (wrong !== undefined) throw invalid("/monthly_limit", wrong);
  return inTransaction(db, async (trx) => {
    const seen = await findSubaccount(trx, principal, ref, clock);
    if (seen.own) throw new Fault("conflict", "The master's own subaccount has no plan: its allowance bounds it.");
    const master = await lockAllowance(trx, principal, seen.masterId, clock);
    const before = await findSubaccount(trx, principal, seen.id, clock, "change");
    requireVersion(before, options.version);
    const plan = await findPlanNamed(trx, before.masterId, wanted.plan);
    if (plan === undefined) throw invalid("/plan", "There is no such plan.");
    const monthlyLimit = limitUnder(plan, wanted.monthlyLimit);
    const switched = { trx, principal, before, plan, monthlyLimit, clock };
    return wanted.when === "now" ? switchNow(switched) : switchLater(switched, master);
  });
}

type Switched = Readonly<{
  trx: Db;
  principal: Principal;
  before: Subaccount;
  plan: Plan;
  monthlyLimit: number | null;
  clock: Clock;
}>;

async function switchNow({ trx, principal, before, plan, monthlyLimit, clock }: Switched): Promise<Subaccount> {
  const { name, terms } = plan;
  const patch = { plan: name, monthlyLimit, features: terms.features };
  await changeSubaccount(trx, principal, before.id, patch, {}, clock);
  return write({ trx, principal, before, clock }, { ...planColumns(plan), ...noNextPlan });
}

async function switchLater(switched: Switched, master: Master): Promise<Subaccount> {
  const { trx, before, plan, monthlyLimit, clock } = switched;
  await requireLimit(trx, master, monthlyLimit, before.id, clock);
  return write(switched, {
    next_plan_id: plan.id,
    next_plan_version: plan.n,
    next_monthly_limit: monthlyLimit,
    next_plan_at: periodAt(before.calendar, clock.now()).end,
  });
}

/** Calls off the plan that was to take over. Repeating it changes nothing. @throws Fault not-found, forbidden */
export async function cancelNextPlan(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  clock: Clock,
): Promise<Subaccount> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await findSubaccount(trx, principal, ref, clock, "change");
    return before.nextPlan === null ? before : write({ trx, principal, before, clock }, noNextPlan);
  });
}

const noNextPlan = { next_plan_id: null, next_plan_version: null, next_monthly_limit: null, next_plan_at: null };

type Write = Pick<Switched, "trx" | "principal" | "before" | "clock">;

async function write({ trx, principal, before, clock }: Write, columns: Record<string, unknown>): Promise<Subaccount> {
  const { id: subaccountId, masterId } = before;
  await trx
    .updateTable("subaccount")
    .set((eb) => ({ ...columns, updated_at: clock.now(), version: eb("version", "+", 1) }))
    .where("id", "=", subaccountId)
    .execute();
  const after = await findSubaccount(trx, principal, subaccountId, clock);
  const shown = [membersOf(before), membersOf(after)] as const;
  if (JSON.stringify(shown[0]) === JSON.stringify(shown[1])) return after;
  const what = { action: "subaccount.plan_changed", target: formatId("sub", subaccountId) };
  await record(trx, { principal, ...what, before: shown[0], after: shown[1], masterId, subaccountId }, clock);
  const { monthlyLimit, nextPlan } = after;
  // The names of plans are the master's own.
  const next = nextPlan && { monthly_limit: nextPlan.monthlyLimit, at: nextPlan.at.toISOString() };
  const data = { monthly_limit: monthlyLimit, previous: before.monthlyLimit, next };
  const event = { type: "subaccount.plan_changed", masterId, subaccountId, at: clock.now(), data } as const;
  await emit(trx, event, clock);
  return after;
}

function membersOf({ plan, planVersion, monthlyLimit, nextPlan }: Subaccount): Record<string, unknown> {
  const next = nextPlan && {
    plan: nextPlan.name,
    plan_version: nextPlan.version,
    monthly_limit: nextPlan.monthlyLimit,
  };
  return { plan, plan_version: planVersion, monthly_limit: monthlyLimit, next_plan: next };
}
