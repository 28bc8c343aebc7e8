/** The members of a subaccount that can be given: one table for creating, changing and auditing. */
import type { NotificationEmail, Subaccount } from "./account.ts";
import { ramp } from "./daily-cap.ts";
import * as rule from "./fields.ts";
import { features } from "./plan-fields.ts";
import type { RateLimitsPatch } from "./rate-limits.ts";

/** Undefined: not given. Null: none. */
export type SubaccountDetails = {
  name?: string | undefined;
  slug?: string | undefined;
  monthlyLimit?: number | null | undefined;
  ownerName?: string | null | undefined;
  ownerEmail?: string | null | undefined;
  notificationEmails?: readonly NotificationEmail[] | null | undefined;
  alertThresholds?: readonly number[] | null | undefined;
  externalId?: string | null | undefined;
  region?: string | null | undefined;
  language?: string | null | undefined;
  enforce2fa?: boolean | undefined;
  timeZone?: string | null | undefined;
  plan?: string | null | undefined;
  features?: Readonly<Record<string, boolean>> | undefined;
  metadata?: Readonly<Record<string, unknown>> | null | undefined;
  notes?: string | null | undefined;
  publicMessage?: string | null | undefined;
  acceptedTermsAt?: Date | null | undefined;
  billingProfile?: string | null | undefined;
  expiresAt?: Date | null | undefined;
  rateLimits?: RateLimitsPatch | null | undefined;
  reserve?: number | null | undefined;
  dailyCapRamp?: readonly number[] | null | undefined;
};

export const subaccountFields = {
  name: { column: "name", rule: rule.line(200) },
  slug: { column: "slug", rule: rule.slug },
  monthlyLimit: { column: "monthly_limit", rule: rule.orNull(rule.units) },
  ownerName: { column: "owner_name", rule: rule.orNull(rule.line(200)) },
  ownerEmail: { column: "owner_email", rule: rule.orNull(rule.email) },
  notificationEmails: {
    column: "notification_emails",
    rule: rule.orNull(rule.notificationEmails(1)),
    json: true,
  },
  alertThresholds: { column: "alert_thresholds", rule: rule.orNull(rule.alertThresholds) },
  externalId: { column: "external_id", rule: rule.orNull(rule.line(200)) },
  region: { column: "region", rule: rule.orNull(rule.line(100)) },
  language: { column: "language", rule: rule.orNull(rule.language) },
  enforce2fa: { column: "enforce_2fa", rule: rule.flag },
  timeZone: { column: "time_zone", rule: rule.orNull(rule.timeZone) },
  plan: { column: "plan", rule: rule.orNull(rule.line(100)) },
  features: { column: "features", rule: features, json: true },
  metadata: { column: "metadata", rule: rule.orNull(rule.metadata), json: true },
  notes: { column: "notes", rule: rule.orNull(rule.text(10_000)) },
  acceptedTermsAt: { column: "accepted_terms_at", rule: rule.orNull(rule.instant) },
  billingProfile: { column: "billing_profile", rule: rule.orNull(rule.line(100)) },
  publicMessage: { column: "public_message", rule: rule.orNull(rule.line(200)) },
  expiresAt: { column: "expires_at", rule: rule.orNull(rule.instant) },
  rateLimits: { column: "rate_limits", rule: rule.orNull(rule.rateLimits), json: true },
  reserve: { column: "reserve", rule: rule.orNull(rule.units) },
  dailyCapRamp: { column: "daily_cap_ramp", rule: rule.orNull(ramp) },
} as const satisfies Record<keyof SubaccountDetails, rule.Field>;

/** What a subaccount may change of itself: nothing that decides how much it sends or who hears of it. */
export const ownFields: readonly (keyof SubaccountDetails)[] = ["ownerName", "ownerEmail", "language", "timeZone"];

/** Its billing profile: with the scope `billing` too. */
export const billingFields: readonly (keyof SubaccountDetails)[] = ["billingProfile"];

/** As the audit log keeps it. */
export function subaccountMembers(subaccount: Subaccount): Record<string, unknown> {
  return rule.membersOf(subaccountFields, subaccount);
}
