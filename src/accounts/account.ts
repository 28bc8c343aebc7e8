/** Masters and subaccounts as the rules see them. Values of these types come from accounts/find.ts and its lists only. */
import type { Calendar } from "../metering/period.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { DailyCapDefault, NotificationEmail, RateLimits } from "../platform/schema.ts";
import type { ContactTopic, Hearers } from "./contact-policy.ts";
import type { DailyCap } from "./daily-cap.ts";
import type { MasterState, OwnState, ShownState } from "./states.ts";

export type { NotificationEmail } from "../platform/schema.ts";

declare const permitted: unique symbol;

export type Master = Readonly<{
  id: MasterId;
  name: string;
  /** The strongest of own state, suspension and end date. */
  state: MasterState;
  ownState: "active" | "closed";
  suspendedAt: Date | null;
  expiresAt: Date | null;
  /** Units per period; null: unlimited. */
  allowance: number | null;
  overage: "block" | "bill";
  ceilingFactor: number;
  calendar: Calendar;
  senderPolicy: "verified" | "any";
  strictAllocation: boolean;
  notificationEmails: readonly NotificationEmail[];
  /** Percent, ascending. */
  alertThresholds: readonly number[];
  /** When alerts are told; a rule of alerts/ may say otherwise. */
  alertDelivery: "immediately" | "daily" | "weekly";
  /** What is used up, and refusals, at once all the same. */
  alertUrgentImmediately: boolean;
  /** By how many percent of its limit a link in an alert may raise an account without a log-in. */
  raiseLinkMaxPercent: number;
  /** Of mails and pages for its people; null: English. */
  language: string | null;
  /** Its members must have a second factor. */
  enforce2fa: boolean;
  ownSubaccountId: SubaccountId;
  /** By topic, each of them. */
  contactPolicy: Readonly<Record<ContactTopic, Hearers>>;
  /** What new subaccounts start with. */
  newSubaccountDailyCap: DailyCapDefault | null;
  createdAt: Date;
  updatedAt: Date;
  version: number;
}> & { readonly [permitted]: true };

/**
 * Holding one is proof of permission. Name, plan, billing profile, metadata, notes, external id and notification e-mails are
 * its master's to see, not its own.
 */
export type Subaccount = Readonly<{
  id: SubaccountId;
  masterId: MasterId;
  /** The master's own sending: no limit, can't be closed. */
  own: boolean;
  /** Of the people who answer for it: one can log in, or one is invited. */
  owner: "in" | "invited" | null;
  /** Its mail is never delivered, and its units are nobody's bill. From the start, or never. */
  sandbox: boolean;
  name: string;
  slug: string;
  /** The strongest of its own and its master's states, suspensions and end dates. */
  state: ShownState;
  ownState: OwnState;
  stateBefore: OwnState | null;
  suspendedAt: Date | null;
  expiresAt: Date | null;
  /** Shown in refusals while it is disabled. */
  publicMessage: string | null;
  /** Units per period; 0: may not send, null: bounded by the master only. */
  monthlyLimit: number | null;
  ownerName: string | null;
  ownerEmail: string | null;
  /** Null: the master's. */
  notificationEmails: readonly NotificationEmail[] | null;
  /** Null: the master's. */
  alertThresholds: readonly number[] | null;
  externalId: string | null;
  region: string | null;
  language: string | null;
  enforce2fa: boolean;
  /** How times are shown to it; periods follow the master's calendar. */
  timeZone: string | null;
  plan: string | null;
  /** Of the plan; null: `plan` is a label, and no plan of the master stands behind it. */
  planVersion: number | null;
  /** Takes over at that instant, the start of a period. */
  nextPlan: Readonly<{ name: string; version: number; monthlyLimit: number | null; at: Date }> | null;
  /** Flags, from its plan or its own. */
  features: Readonly<Record<string, boolean>>;
  metadata: Readonly<Record<string, unknown>>;
  notes: string | null;
  /** When its owner accepted the master's terms. */
  acceptedTermsAt: Date | null;
  /** The name of a billing profile of its master, or a label. */
  billingProfile: string | null;
  closedAt: Date | null;
  /** Units in any minute, hour or day. */
  rateLimits: RateLimits | null;
  /** Units of the limit that are kept for transactional credentials. */
  reserve: number | null;
  /** It has left its master, and is never opened again. */
  movedTo: SubaccountId | null;
  /** Since its contents are, or are being, erased: it is never opened again. */
  erasedAt: Date | null;
  /** By the operator, after the retention of closed accounts. */
  purgedAt: Date | null;
  /** Units in any 24 hours on the first day, the second and so on; then free. */
  dailyCapRamp: readonly number[] | null;
  /** What that allows now. */
  dailyCap: DailyCap | null;
  createdAt: Date;
  updatedAt: Date;
  version: number;
  /** The master's: where its periods start. */
  calendar: Calendar;
}> & { readonly [permitted]: true };
