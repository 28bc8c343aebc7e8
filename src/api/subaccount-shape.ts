/** A subaccount's members: what is taken, and how it is shown to its master and to itself. */
import { z } from "@hono/zod-openapi";
import type { Subaccount } from "../accounts/account.ts";
import { actionsOf, rowActions } from "../accounts/actions.ts";
import { metadata, slug } from "../accounts/fields.ts";
import type { Principal } from "../accounts/principal.ts";
import { shownStates } from "../accounts/states.ts";
import type { SubaccountUsage } from "../metering/usage.ts";
import * as field from "./fields.ts";
import { featuresField } from "./plan-shape.ts";
import { showUsage, usageShape } from "./usage-shape.ts";

export const monthlyLimit = field.units
  .nullable()
  .openapi({ description: "Units per period; 0: may not send, null: bounded by the master only." });
const metadataField = field
  .ruled(z.record(z.string(), z.unknown()), metadata)
  .openapi({ description: "Your own; at most 16384 characters as JSON." });

const reserve = field.units.nullable().openapi({
  description:
    "Units of the limit that are kept for credentials marked transactional; others stop at the limit less these.",
});

/** What many may have in common. */
export const manyDetails = {
  language: field.language.nullable().optional(),
  enforce_2fa: z.boolean().optional().openapi({ description: "Its members must have a second factor." }),
  time_zone: field.timeZone.nullable().optional(),
  notification_emails: field.notificationEmails.nullable().optional(),
  alert_thresholds: field.alertThresholds.nullable().optional(),
  region: field.line(100).nullable().optional(),
  plan: field
    .line(100)
    .nullable()
    .optional()
    .openapi({ description: "The name of a plan, whose limit and features come with it, or a label of your own." }),
  features: featuresField.optional(),
  metadata: metadataField.nullable().optional(),
  notes: field.text(10_000).nullable().optional(),
  public_message: field.line(200).nullable().optional(),
  expires_at: field.instantField.nullable().optional(),
  accepted_terms_at: field.instantField
    .nullable()
    .optional()
    .openapi({ description: "When its owner accepted your terms." }),
  billing_profile: field
    .line(100)
    .nullable()
    .optional()
    .openapi({ description: "The name of a billing profile, or a label of your own.", example: "Cost centre 12" }),
  rate_limits: field.rateLimits.nullable().optional(),
  reserve: reserve.optional(),
  daily_cap_ramp: field.ramp.nullable().optional(),
};

const details = {
  owner_name: field.line(200).nullable().optional(),
  owner_email: field.email.nullable().optional(),
  slug: field.ruled(z.string(), slug).optional(),
  external_id: field.line(200).nullable().optional(),
  ...manyDetails,
};

export const newSubaccount = z
  .strictObject({
    name: field.line(200),
    monthly_limit: monthlyLimit.optional().openapi({
      description:
        "Units per period; 0: may not send, null: bounded by the master only. Needed unless a plan or template has it.",
    }),
    ...details,
    sandbox: z
      .boolean()
      .optional()
      .openapi({ description: "Its mail goes the whole way and is never delivered, nor billed. For good." }),
    template: field.idField("tpl").optional().openapi({ description: "Gives what is not given here." }),
    onboarding: z
      .enum(["handover", "invite"])
      .optional()
      .openapi({ description: "`handover` (default): credentials are shown once in the answer." }),
  })
  .openapi("NewSubaccount", {
    example: {
      name: "Blue Bakery",
      external_id: "cust-17",
      monthly_limit: 5000,
      owner_name: "Ada Baker",
      owner_email: "ada@bakery.example",
      onboarding: "invite",
    },
  });

export const subaccountChange = z
  .strictObject({ name: field.line(200).optional(), monthly_limit: monthlyLimit.optional(), ...details })
  .openapi("SubaccountChange", {
    example: { monthly_limit: 8000, rate_limits: { minute: 100, hour: 1000 }, reserve: 500 },
  });

const nextPlanShape = z
  .strictObject({ plan: z.string(), plan_version: z.int(), monthly_limit: z.int().nullable(), at: field.instant })
  .openapi({ description: "Takes over with the period that starts then." });

const mastersOnly = {
  name: z.string().optional(),
  external_id: z.string().nullable().optional(),
  plan: z.string().nullable().optional(),
  billing_profile: z.string().nullable().optional(),
  plan_version: z.int().nullable().optional().openapi({ description: "Null: the plan is a label." }),
  next_plan: nextPlanShape.nullable().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  notes: z.string().nullable().optional(),
  notification_emails: z
    .array(z.union([z.string(), z.strictObject({ email: z.string(), topics: z.array(z.string()) })]))
    .nullable()
    .optional(),
  alert_thresholds: z.array(z.int()).nullable().optional(),
};

export const subaccountShape = z
  .strictObject({
    id: field.shownId("sub"),
    master_id: field.shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    sandbox: z.boolean().openapi({ description: "Its mail is never delivered, nor billed." }),
    own: z.boolean().openapi({ description: "The master's own sending." }),
    ...mastersOnly,
    slug: z.string(),
    state: z.enum(shownStates),
    public_message: z.string().nullable(),
    monthly_limit: z.int().nullable(),
    owner_name: z.string().nullable(),
    owner_email: z.string().nullable(),
    features: z.record(z.string(), z.boolean()),
    region: z.string().nullable(),
    language: z.string().nullable(),
    enforce_2fa: z.boolean(),
    time_zone: z.string().nullable(),
    suspended_at: field.instant.nullable(),
    expires_at: field.instant.nullable(),
    accepted_terms_at: field.instant.nullable(),
    closed_at: field.instant.nullable(),
    erased_at: field.instant.nullable().openapi({ description: "Since its contents are erased; it stays closed." }),
    purged_at: field.instant.nullable(),
    rate_limits: field.shownRateLimits,
    reserve: z.int().nullable().openapi({ description: "Kept for transactional credentials." }),
    daily_cap_ramp: z.array(z.int()).nullable(),
    daily_cap: z
      .strictObject({ units: z.int(), day: z.int(), until: field.instant })
      .nullable()
      .openapi({ description: "What its ramp allows now, in any 24 hours, until the next step. Null: free." }),
    created_at: field.instant,
    updated_at: field.instant,
    actions: z.array(z.enum(rowActions)).openapi({
      description: "What the caller may do to it in this state.",
      example: ["change", "top_up", "close", "disable"],
    }),
    usage: usageShape,
  })
  .openapi("Subaccount");

export function showSubaccount(
  subaccount: Subaccount,
  usage: SubaccountUsage,
  principal: Principal,
): z.output<typeof subaccountShape> {
  const { own, slug, state, sandbox } = subaccount;
  return {
    id: field.showId("sub", subaccount.id),
    ...(principal.kind === "operator" ? { master_id: field.showId("mas", subaccount.masterId) } : {}),
    sandbox,
    own,
    ...(principal.kind === "subaccount" ? {} : showMastersOnly(subaccount)),
    slug,
    state,
    public_message: subaccount.publicMessage,
    monthly_limit: subaccount.monthlyLimit,
    owner_name: subaccount.ownerName,
    owner_email: subaccount.ownerEmail,
    features: { ...subaccount.features },
    region: subaccount.region,
    language: subaccount.language,
    enforce_2fa: subaccount.enforce2fa,
    time_zone: subaccount.timeZone,
    suspended_at: field.showInstant(subaccount.suspendedAt),
    expires_at: field.showInstant(subaccount.expiresAt),
    accepted_terms_at: field.showInstant(subaccount.acceptedTermsAt),
    closed_at: field.showInstant(subaccount.closedAt),
    erased_at: field.showInstant(subaccount.erasedAt),
    purged_at: field.showInstant(subaccount.purgedAt),
    rate_limits: subaccount.rateLimits,
    reserve: subaccount.reserve,
    daily_cap_ramp: subaccount.dailyCapRamp?.map((cap) => cap) ?? null,
    daily_cap: showDailyCap(subaccount),
    created_at: field.showInstant(subaccount.createdAt),
    updated_at: field.showInstant(subaccount.updatedAt),
    actions: actionsOf(subaccount, principal),
    usage: showUsage(usage),
  };
}

function showDailyCap({ dailyCap }: Subaccount) {
  return dailyCap === null ? null : { ...dailyCap, until: field.showInstant(dailyCap.until) };
}

function showMastersOnly(subaccount: Subaccount) {
  return {
    name: subaccount.name,
    external_id: subaccount.externalId,
    plan: subaccount.plan,
    billing_profile: subaccount.billingProfile,
    plan_version: subaccount.planVersion,
    next_plan: showNextPlan(subaccount.nextPlan),
    metadata: { ...subaccount.metadata },
    notes: subaccount.notes,
    notification_emails: subaccount.notificationEmails?.map((item) => item) ?? null,
    alert_thresholds: subaccount.alertThresholds?.map((level) => level) ?? null,
  };
}

function showNextPlan(next: Subaccount["nextPlan"]): z.output<typeof nextPlanShape> | null {
  if (next === null) return null;
  const { name, version, monthlyLimit: limit, at } = next;
  return { plan: name, plan_version: version, monthly_limit: limit, at: field.showInstant(at) };
}
