/** Plans: what is taken, and how they are shown. */
import { z } from "@hono/zod-openapi";
import type { Plan } from "../accounts/plan.ts";
import * as rules from "../accounts/plan-fields.ts";
import type { PlanVersion } from "../accounts/plans.ts";
import * as field from "./fields.ts";

export const featuresField = field.ruled(z.record(z.string(), z.boolean()), rules.features).openapi({
  example: { webhooks: true, archiving: false },
  description: "Names of features, each on or off. `billing_history` lets the account see what it was billed for.",
});

const limits = {
  monthly_limit: field.units
    .nullable()
    .optional()
    .openapi({ example: 10_000, description: "Units per period; null (default): bounded by the master only." }),
  custom_limit: z.boolean().optional().openapi({ description: "Each subaccount brings a limit of its own." }),
};

const price = z
  .strictObject({
    amount_minor: field.ruled(z.int(), rules.amountMinor).openapi({ example: 1900 }),
    currency: field.ruled(z.string(), rules.currency).openapi({ example: "EUR" }),
  })
  .openapi({ description: "In the smallest unit of the currency, for one cycle." });

const cycle = z.enum(rules.cycles);

export const newPlan = z
  .strictObject({
    name: field.line(100).openapi({ example: "Starter" }),
    ...limits,
    features: featuresField.optional(),
    price: price.nullable().optional(),
    cycle: cycle.optional().openapi({ description: "`monthly` (default) or `yearly`." }),
  })
  .openapi("NewPlan", {
    example: {
      name: "Starter",
      monthly_limit: 5000,
      features: { webhooks: true },
      price: { amount_minor: 1900, currency: "EUR" },
    },
  });

export const planChange = z
  .strictObject({
    ...limits,
    features: featuresField.optional(),
    price: price.nullable().optional(),
    cycle: cycle.optional(),
  })
  .openapi("PlanChange", { example: { monthly_limit: 6000 } });

const terms = {
  monthly_limit: z.int().nullable(),
  custom_limit: z.boolean(),
  features: z.record(z.string(), z.boolean()),
  price: z.strictObject({ amount_minor: z.int(), currency: z.string() }).nullable(),
  cycle,
};

export const planShape = z
  .strictObject({
    id: field.shownId("plan"),
    master_id: field.shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    name: z.string(),
    plan_version: z.int().openapi({ description: "What a subaccount gets now. Others keep the one they have." }),
    ...terms,
    withdrawn_at: field.instant.nullable(),
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("Plan");

export const planVersionShape = z
  .strictObject({ plan_version: z.int(), ...terms, subaccounts: z.int(), created_at: field.instant })
  .openapi("PlanVersion");

export function showPlan(plan: Plan, withMaster: boolean): z.output<typeof planShape> {
  return {
    id: field.showId("plan", plan.id),
    ...(withMaster ? { master_id: field.showId("mas", plan.masterId) } : {}),
    name: plan.name,
    plan_version: plan.n,
    ...showTerms(plan.terms),
    withdrawn_at: field.showInstant(plan.withdrawnAt),
    created_at: field.showInstant(plan.createdAt),
    updated_at: field.showInstant(plan.updatedAt),
  };
}

export function showPlanVersion({ n, createdAt, subaccounts, ...version }: PlanVersion) {
  return { plan_version: n, ...showTerms(version.terms), subaccounts, created_at: field.showInstant(createdAt) };
}

function showTerms({ monthlyLimit, features, price: sold, cycle: per }: rules.PlanTerms) {
  const shown = sold === null ? null : { amount_minor: sold.amountMinor, currency: sold.currency };
  const custom = monthlyLimit === "custom";
  const limit = custom ? null : monthlyLimit;
  return { monthly_limit: limit, custom_limit: custom, features: { ...features }, price: shown, cycle: per };
}

/** The members that are given, as the rules name them. */
export function termsOf(body: z.output<typeof planChange>) {
  const { features, price: given, cycle: per } = body;
  const sold = given == null ? given : { amountMinor: given.amount_minor, currency: given.currency };
  return { monthlyLimit: limitOf(body), features, price: sold, cycle: per };
}

function limitOf({ monthly_limit: limit, custom_limit: custom }: z.output<typeof planChange>) {
  if (custom === true) return "custom" as const;
  return limit === undefined && custom === false ? null : limit;
}
