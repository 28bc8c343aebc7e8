/**
 * The plans of a master: made, changed, withdrawn, listed.
 *
 * Invariant: a change of terms is a new version, and no subaccount is touched by it. Of one name there is one plan that can be
 * chosen.
 */
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, type FaultDetail, notFound } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type PlanId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { line, oneOf, type Rule } from "./fields.ts";
import { findMaster } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { columnsOfTerms, type Plan, planOf, selectPlans, termsOf } from "./plan.ts";
import * as rule from "./plan-fields.ts";
import { type Principal, reachOf } from "./principal.ts";
import { requireVersion } from "./version.ts";

export type NewPlan = rule.PlanTerms &
  Readonly<{
    name: string;
    /** The operator's choice. */
    masterId?: MasterId | undefined;
  }>;

/** @throws Fault forbidden, invalid, conflict when the name is taken */
export async function createPlan(db: Db, principal: Principal, input: NewPlan, clock: Clock): Promise<Plan> {
  requireMasterChange(principal);
  const { name, masterId, ...terms } = input;
  checkTerms(terms, ["/name", line(100)(name)]);
  return inTransaction(db, async (trx) => {
    const master = await findMaster(trx, principal, masterId, clock, "keep");
    const id = newId<PlanId>(clock);
    const now = clock.now();
    const inserted = await trx
      .insertInto("plan")
      .values({ id, master_id: master.id, name, created_at: now, updated_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (inserted === undefined) throw taken();
    await insertVersion(trx, id, 1, terms, now);
    const plan = await findPlan(trx, principal, id);
    await note(trx, principal, "plan.created", plan, [null, membersOf(plan)], clock);
    return plan;
  });
}

function taken(): Fault {
  const detail = "Another plan has this name.";
  return new Fault("conflict", detail, [{ pointer: "/name", detail }]);
}

/** New terms are the next version; what stays the same writes none. @throws Fault not-found, forbidden, invalid, precondition */
export async function changePlan(
  db: Db,
  principal: Principal,
  id: PlanId,
  patch: { readonly [T in keyof rule.PlanTerms]?: rule.PlanTerms[T] | undefined },
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Plan> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await lockPlan(trx, principal, id);
    requireVersion(before, options.version);
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    const terms: rule.PlanTerms = { ...before.terms, ...given };
    checkTerms(terms);
    if (JSON.stringify(columnsOfTerms(terms)) === JSON.stringify(columnsOfTerms(before.terms))) return before;
    await insertVersion(trx, id, before.n + 1, terms, clock.now());
    await touch(trx, id, { current: before.n + 1 }, clock);
    const after = await findPlan(trx, principal, id);
    await note(trx, principal, "plan.changed", after, [membersOf(before), membersOf(after)], clock);
    return after;
  });
}

/** From now on nobody is given it; who has it keeps it. Repeating it changes nothing. @throws Fault not-found, forbidden */
export async function withdrawPlan(db: Db, principal: Principal, id: PlanId, clock: Clock): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const plan = await lockPlan(trx, principal, id);
    if (plan.withdrawnAt !== null) return;
    await touch(trx, id, { withdrawn_at: clock.now() }, clock);
    await note(trx, principal, "plan.withdrawn", plan, [membersOf(plan), null], clock);
  });
}

/** @throws Fault not-found */
export async function findPlan(db: Db, principal: Principal, id: PlanId): Promise<Plan> {
  const row = await reachable(db, principal).where("p.id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("plan");
  return planOf(row);
}

export type PlanFilter = Readonly<{ after?: PlanId | undefined; limit: number; masterId?: MasterId | undefined }>;

/** Those that can be chosen, oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listPlans(db: Db, principal: Principal, filter: PlanFilter): Promise<Plan[]> {
  let query = reachable(db, principal).where("p.withdrawn_at", "is", null);
  if (filter.masterId !== undefined) query = query.where("p.master_id", "=", filter.masterId);
  if (filter.after !== undefined) query = query.where("p.id", ">", filter.after);
  const rows = await query
    .orderBy("p.id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(planOf);
}

export type PlanVersion = Readonly<{ n: number; terms: rule.PlanTerms; createdAt: Date; subaccounts: number }>;

/** All versions, newest first, with how many subaccounts have each. @throws Fault not-found */
export async function listPlanVersions(db: Db, principal: Principal, id: PlanId): Promise<PlanVersion[]> {
  const { masterId } = await findPlan(db, principal, id);
  const counted = await db
    .selectFrom("subaccount")
    .select((eb) => ["plan_version", eb.fn.countAll<number>().as("subaccounts")])
    .where("master_id", "=", masterId)
    .where("plan_id", "=", id)
    .groupBy("plan_version")
    .execute();
  const having = new Map(counted.map((row) => [row.plan_version, row.subaccounts]));
  const rows = await db
    .selectFrom("plan_version")
    .selectAll()
    .where("plan_id", "=", id)
    .orderBy("n", "desc")
    .limit(1000)
    .execute();
  return rows.map((row) => ({
    n: row.n,
    terms: termsOf(row),
    createdAt: row.created_at,
    subaccounts: having.get(row.n) ?? 0,
  }));
}

function reachable(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("plan");
  const query = selectPlans(db);
  return masterId === null ? query : query.where("p.master_id", "=", masterId);
}

async function lockPlan(trx: Db, principal: Principal, id: PlanId): Promise<Plan> {
  const row = await reachable(trx, principal).where("p.id", "=", id).forUpdate("p").executeTakeFirst();
  if (row === undefined) throw notFound("plan");
  return planOf(row);
}

async function insertVersion(trx: Db, id: PlanId, n: number, terms: rule.PlanTerms, now: Date): Promise<void> {
  const row = { plan_id: id, n, ...columnsOfTerms(terms), created_at: now };
  await trx.insertInto("plan_version").values(row).execute();
}

async function touch(trx: Db, id: PlanId, change: { current: number } | { withdrawn_at: Date }, clock: Clock) {
  await trx
    .updateTable("plan")
    .set((eb) => ({ ...change, updated_at: clock.now(), version: eb("version", "+", 1) }))
    .where("id", "=", id)
    .execute();
}

/** All mistakes are told at once. @throws Fault invalid */
function checkTerms(terms: rule.PlanTerms, ...more: [pointer: string, detail: string | undefined][]): void {
  const { monthlyLimit, features, price, cycle } = terms;
  const ruled = (pointer: string, check: Rule, value: unknown): [string, string | undefined] => [pointer, check(value)];
  const told = [
    ...more,
    ruled("/monthly_limit", rule.planLimit, monthlyLimit),
    ruled("/features", rule.features, features),
    ruled("/cycle", oneOf(rule.cycles), cycle),
    ...(price === null
      ? []
      : [
          ruled("/price/amount_minor", rule.amountMinor, price.amountMinor),
          ruled("/price/currency", rule.currency, price.currency),
        ]),
  ];
  const mistakes = told.flatMap(([pointer, detail]): FaultDetail[] =>
    detail === undefined ? [] : [{ pointer, detail }],
  );
  const [first] = mistakes;
  if (first !== undefined) throw new Fault("invalid", `${first.pointer.slice(1)}: ${first.detail}`, mistakes);
}

type Members = Record<string, unknown>;

function membersOf({ name, n, terms }: Plan): Members {
  const { monthlyLimit, features, price, cycle } = terms;
  const shown = price === null ? null : { amount_minor: price.amountMinor, currency: price.currency };
  return { name, plan_version: n, monthly_limit: monthlyLimit, features, price: shown, cycle };
}

type Change = readonly [before: Members | null, after: Members | null];

async function note(trx: Db, principal: Principal, action: string, plan: Plan, [before, after]: Change, clock: Clock) {
  const { id, masterId } = plan;
  const target = formatId("plan", id);
  await record(trx, { principal, action, target, before, after, masterId, subaccountId: null }, clock);
}
