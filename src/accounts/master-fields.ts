/** The members of a master that can be given: one table for creating, changing and auditing. */
import type { Master, NotificationEmail } from "./account.ts";
import { type ContactTopic, contactPolicy, type Hearers } from "./contact-policy.ts";
import { type DailyCapPatch, dailyCapDefault } from "./daily-cap.ts";
import * as rule from "./fields.ts";

/** Undefined: not given. Null: none. */
export type MasterDetails = {
  name?: string | undefined;
  allowance?: number | null | undefined;
  overage?: "block" | "bill" | undefined;
  ceilingFactor?: number | undefined;
  anchorDay?: number | undefined;
  timeZone?: string | undefined;
  senderPolicy?: "verified" | "any" | undefined;
  strictAllocation?: boolean | undefined;
  notificationEmails?: readonly NotificationEmail[] | undefined;
  alertThresholds?: readonly number[] | undefined;
  alertDelivery?: "immediately" | "daily" | "weekly" | undefined;
  alertUrgentImmediately?: boolean | undefined;
  raiseLinkMaxPercent?: number | undefined;
  language?: string | null | undefined;
  enforce2fa?: boolean | undefined;
  expiresAt?: Date | null | undefined;
  /** What is not named stays as it is. */
  contactPolicy?: { readonly [T in ContactTopic]?: Hearers | undefined } | undefined;
  newSubaccountDailyCap?: DailyCapPatch | null | undefined;
};

export const masterFields = {
  name: { column: "name", rule: rule.line(200) },
  allowance: { column: "allowance", rule: rule.orNull(rule.units) },
  overage: { column: "overage", rule: rule.oneOf(["block", "bill"]) },
  ceilingFactor: { column: "ceiling_factor", rule: rule.between(1, 1000, 2) },
  anchorDay: { column: "anchor_day", rule: rule.between(1, 31) },
  timeZone: { column: "time_zone", rule: rule.timeZone },
  senderPolicy: { column: "sender_policy", rule: rule.oneOf(["verified", "any"]) },
  strictAllocation: { column: "strict_allocation", rule: rule.flag },
  notificationEmails: { column: "notification_emails", rule: rule.notificationEmails(1), json: true },
  alertThresholds: { column: "alert_thresholds", rule: rule.alertThresholds },
  alertDelivery: { column: "alert_delivery", rule: rule.oneOf(["immediately", "daily", "weekly"]) },
  alertUrgentImmediately: { column: "alert_urgent_immediately", rule: rule.flag },
  raiseLinkMaxPercent: { column: "raise_link_max_percent", rule: rule.between(0, 1000) },
  language: { column: "language", rule: rule.orNull(rule.language) },
  enforce2fa: { column: "enforce_2fa", rule: rule.flag },
  contactPolicy: { column: "contact_policy", rule: contactPolicy, json: true },
  expiresAt: { column: "expires_at", rule: rule.orNull(rule.instant) },
  newSubaccountDailyCap: {
    column: "new_subaccount_daily_cap",
    rule: rule.orNull(dailyCapDefault),
    json: true,
  },
} as const satisfies Record<keyof MasterDetails, rule.Field>;

/** What a master may change of itself; the rest is between it and the operator. */
export const ownFields: readonly (keyof MasterDetails)[] = [
  "name",
  "strictAllocation",
  "notificationEmails",
  "alertThresholds",
  "alertDelivery",
  "alertUrgentImmediately",
  "raiseLinkMaxPercent",
  "newSubaccountDailyCap",
  "language",
  "enforce2fa",
  "contactPolicy",
];

/** As the audit log keeps it. A change of calendar that is still to come is what was asked for. */
export function masterMembers(master: Master): Record<string, unknown> {
  const { anchorDay, timeZone } = master.calendar.next ?? master.calendar;
  return rule.membersOf(masterFields, { ...master, anchorDay, timeZone });
}
