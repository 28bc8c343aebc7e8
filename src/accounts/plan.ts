/**
 * A plan as subaccounts see it: found by its name under the master whose plans these are.
 *
 * Invariant: a version's terms never change; a subaccount keeps the version it has until its plan is changed.
 */
import { type Selectable, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { invalid } from "../platform/errors.ts";
import type { MasterId, PlanId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { PlanTerms } from "./plan-fields.ts";

export type Plan = Readonly<{
  id: PlanId;
  masterId: MasterId;
  name: string;
  /** Of the terms; from 1. */
  n: number;
  terms: PlanTerms;
  /** It takes no new subaccount. */
  withdrawnAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  /** Of the row, for If-Match. */
  version: number;
}>;

type Row = Selectable<Schema["plan"]> & Omit<Selectable<Schema["plan_version"]>, "plan_id" | "created_at">;

/** Plans `p` with their current terms `v`. */
export function selectPlans(db: Db) {
  return db
    .selectFrom("plan as p")
    .innerJoin("plan_version as v", (join) => join.onRef("v.plan_id", "=", "p.id").onRef("v.n", "=", "p.current"))
    .selectAll("p")
    .select(["v.n", "v.custom_limit", "v.monthly_limit", "v.features", "v.price_minor", "v.currency", "v.cycle"]);
}

export function planOf(row: Row): Plan {
  const { id, master_id: masterId, name, n, withdrawn_at: withdrawnAt, version } = row;
  const times = { withdrawnAt, createdAt: row.created_at, updatedAt: row.updated_at };
  return { id, masterId, name, n, terms: termsOf(row), ...times, version };
}

export type TermsRow = Pick<Row, "custom_limit" | "monthly_limit" | "features" | "price_minor" | "currency" | "cycle">;

export function termsOf(row: TermsRow): PlanTerms {
  const { price_minor: amountMinor, currency, features, cycle } = row;
  const price = amountMinor === null || currency === null ? null : { amountMinor, currency };
  return { monthlyLimit: row.custom_limit ? "custom" : row.monthly_limit, features, price, cycle };
}

/** As columns of a version. */
export function columnsOfTerms({ monthlyLimit, features, price, cycle }: PlanTerms) {
  return {
    custom_limit: monthlyLimit === "custom",
    monthly_limit: monthlyLimit === "custom" ? null : monthlyLimit,
    features: JSON.stringify(features),
    price_minor: price?.amountMinor ?? null,
    currency: price?.currency ?? null,
    cycle,
  };
}

/** Undefined: the name is a label, and no plan stands behind it. */
export async function findPlanNamed(db: Db, masterId: MasterId, name: string): Promise<Plan | undefined> {
  const row = await selectPlans(db)
    .where("p.master_id", "=", masterId)
    .where("p.name", "=", name)
    .where("p.withdrawn_at", "is", null)
    .executeTakeFirst();
  return row === undefined ? undefined : planOf(row);
}

/** What the plan gives a subaccount, beside a limit that was asked for. @throws Fault invalid at /monthly_limit */
export function limitUnder(plan: Plan | undefined, given: number | null | undefined): number | null {
  if (given !== undefined) return given;
  if (plan === undefined) throw invalid("/monthly_limit", "Say how much it may send: a limit, or a plan that has one.");
  const { monthlyLimit } = plan.terms;
  if (monthlyLimit === "custom") {
    throw invalid("/monthly_limit", `With the plan ${plan.name} each subaccount has a limit of its own: give it.`);
  }
  return monthlyLimit;
}

/** Columns of a subaccount under this plan, or under a label alone. */
export function planColumns(plan: Plan | undefined) {
  return { plan_id: plan?.id ?? null, plan_version: plan?.n ?? null };
}

/** For subaccounts `s`: the name of the plan that takes over. */
export const nextPlanName = sql<string | null>`(select p.name from plan p where p.id = s.next_plan_id)`;
