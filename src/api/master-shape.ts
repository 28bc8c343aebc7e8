/** A master's members: what is taken, and how it is shown. */
import { z } from "@hono/zod-openapi";
import type { Master } from "../accounts/account.ts";
import { type ContactTopic, contactTopics, defaultPolicy, hearers } from "../accounts/contact-policy.ts";
import { between, MAX_UNITS } from "../accounts/fields.ts";
import { masterStates } from "../accounts/states.ts";
import * as field from "./fields.ts";

const anchorDay = field.ruled(z.int(), between(1, 31)).openapi({ minimum: 1, maximum: 31 });
const ceilingFactor = field.ruled(z.number(), between(1, 1000, 2)).openapi({
  minimum: 1,
  maximum: 1000,
  description: "With overage `bill`: the cap is allowance x ceiling_factor.",
});
const allowance = field.units
  .nullable()
  .openapi({ description: "Units per period; null: unlimited.", maximum: MAX_UNITS });

const someone = z.enum(hearers);
const topicMembers = Object.fromEntries(contactTopics.map((topic) => [topic, someone])) as Record<
  ContactTopic,
  typeof someone
>;
const contactPolicyShape = z.strictObject(topicMembers).openapi("ContactPolicy", {
  description: "Who hears of a topic: the subaccount, its master, or both.",
  example: defaultPolicy,
});
const contactPolicyChange = z
  .strictObject(topicMembers)
  .partial()
  .openapi({ description: "A topic that is not named stays as it is.", example: { review: "master" } });
const alertDelivery = z.enum(["immediately", "daily", "weekly"]).openapi({
  description:
    "Alerts are told at once, or all together at 08:00 in the master's time zone, weekly on Mondays. A rule may say otherwise.",
});
const alertUrgentImmediately = z
  .boolean()
  .openapi({ description: "What is used up, and the first refusal, is told at once all the same." });
const raiseLinkMaxPercent = field.ruled(z.int(), between(0, 1000)).openapi({
  minimum: 0,
  maximum: 1000,
  description:
    "By how many percent of its limit the link in an alert may raise a subaccount without a log-in; 0: not at all.",
});
const dailyCapDefault = z
  .strictObject({
    ramp: field.ramp.optional(),
    from_limit: field.units.nullable().optional().openapi({
      description: "Subaccounts with a lower monthly limit are not capped; 5000 unless told.",
    }),
  })
  .openapi({
    example: { ramp: [1000, 2000, 5000, 10000, 20000], from_limit: 5000 },
    description: "What new subaccounts start with; null: nothing. It is copied at creation.",
  });

const optional = {
  overage: z.enum(["block", "bill"]).optional(),
  ceiling_factor: ceilingFactor.optional(),
  anchor_day: anchorDay.optional(),
  time_zone: field.timeZone.optional(),
  sender_policy: z.enum(["verified", "any"]).optional(),
  strict_allocation: z.boolean().optional(),
  alert_thresholds: field.alertThresholds.optional(),
  alert_delivery: alertDelivery.optional(),
  alert_urgent_immediately: alertUrgentImmediately.optional(),
  raise_link_max_percent: raiseLinkMaxPercent.optional(),
  language: field.language.nullable().optional(),
  enforce_2fa: z.boolean().optional().openapi({ description: "Its members must have a second factor." }),
  expires_at: field.instantField.nullable().optional(),
  contact_policy: contactPolicyChange.optional(),
  new_subaccount_daily_cap: dailyCapDefault.nullable().optional(),
};

export const newMaster = z
  .strictObject({ name: field.line(200), allowance, notification_emails: field.notificationEmails, ...optional })
  .openapi("NewMaster", {
    example: {
      name: "Acme Hosting",
      allowance: 100_000,
      notification_emails: ["ops@acme.example"],
      time_zone: "Europe/Berlin",
    },
  });

export const masterChange = z
  .strictObject({
    name: field.line(200).optional(),
    allowance: allowance.optional(),
    notification_emails: field.notificationEmails.optional(),
    ...optional,
  })
  .openapi("MasterChange", {
    example: { contact_policy: { quota: "both" }, new_subaccount_daily_cap: { ramp: [500, 1000, 2000, 5000] } },
  });

const calendarShape = { anchor_day: z.int(), time_zone: z.string() };

export const masterShape = z
  .strictObject({
    id: field.shownId("mas"),
    name: z.string(),
    state: z.enum(masterStates),
    allowance: z.int().nullable(),
    overage: z.enum(["block", "bill"]),
    ceiling_factor: z.number(),
    ...calendarShape,
    next_calendar: z
      .strictObject({ ...calendarShape, changes_at: field.instant })
      .nullable()
      .openapi({ description: "A change that takes effect at the end of the running period." }),
    sender_policy: z.enum(["verified", "any"]),
    strict_allocation: z.boolean(),
    notification_emails: z.array(
      z.union([z.string(), z.strictObject({ email: z.string(), topics: z.array(z.string()) })]),
    ),
    alert_thresholds: z.array(z.int()),
    alert_delivery: alertDelivery,
    alert_urgent_immediately: alertUrgentImmediately,
    raise_link_max_percent: raiseLinkMaxPercent,
    language: z.string().nullable(),
    enforce_2fa: z.boolean(),
    contact_policy: contactPolicyShape,
    new_subaccount_daily_cap: z.strictObject({ ramp: z.array(z.int()), from_limit: z.int() }).nullable(),
    own_subaccount: z.strictObject({ id: field.shownId("sub") }),
    suspended_at: field.instant.nullable(),
    expires_at: field.instant.nullable(),
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("Master");

function showDailyCap({ newSubaccountDailyCap: given }: Master) {
  return given === null ? null : { ramp: [...given.ramp], from_limit: given.from_limit };
}

export function showMaster(master: Master): z.output<typeof masterShape> {
  const { anchorDay, timeZone, next } = master.calendar;
  return {
    id: field.showId("mas", master.id),
    name: master.name,
    state: master.state,
    allowance: master.allowance,
    overage: master.overage,
    ceiling_factor: master.ceilingFactor,
    anchor_day: anchorDay,
    time_zone: timeZone,
    next_calendar:
      next === undefined
        ? null
        : { anchor_day: next.anchorDay, time_zone: next.timeZone, changes_at: field.showInstant(next.changesAt) },
    sender_policy: master.senderPolicy,
    strict_allocation: master.strictAllocation,
    notification_emails: master.notificationEmails.map((item) => item),
    alert_thresholds: [...master.alertThresholds],
    alert_delivery: master.alertDelivery,
    alert_urgent_immediately: master.alertUrgentImmediately,
    raise_link_max_percent: master.raiseLinkMaxPercent,
    language: master.language,
    enforce_2fa: master.enforce2fa,
    contact_policy: { ...master.contactPolicy },
    new_subaccount_daily_cap: showDailyCap(master),
    own_subaccount: { id: field.showId("sub", master.ownSubaccountId) },
    suspended_at: field.showInstant(master.suspendedAt),
    expires_at: field.showInstant(master.expiresAt),
    created_at: field.showInstant(master.createdAt),
    updated_at: field.showInstant(master.updatedAt),
  };
}
