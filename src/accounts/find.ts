/**
 * The only source of a `Master` or `Subaccount` value, so that holding one is proof of permission.
 *
 * Invariant: every look-up is narrowed by the principal in its SQL; another tenant's id is `not-found`, like none at all.
 */
import { type Selectable, sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { type MasterId, parseId, type SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { Master, Subaccount } from "./account.ts";
import { type CalendarColumns, calendarOf } from "./calendar.ts";
import { contactPolicyOf } from "./contact-policy.ts";
import { dailyCapAt } from "./daily-cap.ts";
import { nextPlanName } from "./plan.ts";
import { type Principal, reachOf } from "./principal.ts";
import { type MasterState, type StateFacts, shownState } from "./states.ts";
import { takeNextPlan } from "./take-next-plan.ts";

/** Sets these advisory locks apart from others. */
const MASTER_LOCKS = 7221;

/** A subaccount by id, or by the id that its master gave it. */
export type SubaccountRef = SubaccountId | Readonly<{ externalId: string }>;

/** `sub_...` or `ext:<external_id>`; undefined for anything else. */
export function parseSubaccountRef(text: string): SubaccountRef | undefined {
  if (text.startsWith("ext:")) return text.length > 4 ? { externalId: text.slice(4) } : undefined;
  return parseId("sub", text);
}

/**
 * Until the transaction ends `keep` lets nobody change the account, and `change` nobody keep or change it. To keep or
 * change a subaccount keeps its master too: state, calendar and allowance stay as they were read. The master always
 * comes first, so nobody waits in a circle.
 */
type Purpose = "read" | "keep" | "change";

/** @param id the operator's choice; a master finds itself. @throws Fault not-found */
export async function findMaster(
  db: Db,
  principal: Principal,
  id: MasterId | undefined,
  clock: Clock,
  purpose: Purpose = "read",
): Promise<Master> {
  const wanted = id ?? (principal.kind === "master" ? principal.masterId : undefined);
  const reach = reachOf(principal);
  const hidden = reach.subaccountId !== null || (reach.masterId !== null && reach.masterId !== wanted);
  if (wanted === undefined || hidden) throw notFound("master");
  if (purpose !== "read") await lockMaster(db, wanted, purpose);
  const query = db.selectFrom("master").selectAll().where("id", "=", wanted);
  const row = await (purpose === "change" ? query.forNoKeyUpdate() : query).executeTakeFirst();
  if (row === undefined) throw notFound("master");
  return masterOf(row, clock.now());
}

/** @throws Fault not-found */
export async function findSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  clock: Clock,
  purpose: Purpose = "read",
): Promise<Subaccount> {
  const { masterId, subaccountId } = reachOf(principal);
  let query = selectSubaccounts(db);
  if (typeof ref === "string") {
    query = query.where("s.id", "=", ref);
  } else {
    if (masterId === null || ref.externalId.includes("\0")) throw notFound("subaccount");
    query = query.where("s.external_id", "=", ref.externalId);
  }
  if (masterId !== null) query = query.where("s.master_id", "=", masterId);
  if (subaccountId !== null) query = query.where("s.id", "=", subaccountId);
  let row = await query.executeTakeFirst();
  if (row !== undefined && purpose !== "read") {
    await lockMaster(db, row.master_id, "keep");
    row = await (purpose === "change" ? query.forNoKeyUpdate("s") : query.forShare("s")).executeTakeFirst();
    // A plan that was to take over by now is there before anything else is changed.
    const due = purpose === "change" && row !== undefined && row.next_plan_at !== null;
    if (due && (await takeNextPlan(db, row!.id, clock))) row = await query.executeTakeFirst();
  }
  if (row === undefined) throw notFound("subaccount");
  return subaccountOf(row, clock.now());
}

/**
 * Not the row: those who keep it would let nobody through who wants to change it. Here all wait in one queue, and longer
 * than for a row, since many may make subaccounts of one master at the same time.
 */
async function lockMaster(db: Db, id: MasterId, purpose: "keep" | "change"): Promise<void> {
  const lock = purpose === "keep" ? sql`pg_advisory_xact_lock_shared` : sql`pg_advisory_xact_lock`;
  await sql`
    select set_config('lock_timeout', '3s', true), ${lock}(hashtextextended(${id}, ${sql.lit(MASTER_LOCKS)})),
           set_config('lock_timeout', usual.wait, true)
      from (select current_setting('lock_timeout') as wait offset 0) usual`.execute(db);
}

/** Whether somebody answers for it who can log in, or is invited to. */
const ownerOfIt = sql<"in" | "invited" | null>`(
  select case when bool_or(b.accepted_at is not null) then 'in' when count(*) > 0 then 'invited' end
    from member b where b.subaccount_id = s.id and b.role = 'owner' and b.removed_at is null)`;

/** Subaccounts `s` with what their masters `m` decide for them; for accounts/list-subaccounts.ts too. */
export function selectSubaccounts(db: Db) {
  return db
    .selectFrom("subaccount as s")
    .innerJoin("master as m", "m.id", "s.master_id")
    .selectAll("s")
    .select(["m.anchor_day", "m.next_anchor_day", "m.next_time_zone", "m.calendar_changes_at"])
    .select("m.time_zone as master_time_zone")
    .select(["m.state as master_state", "m.suspended_at as master_suspended_at", "m.expires_at as master_expires_at"])
    .select(nextPlanName.as("next_plan"))
    .select(sql<boolean>`m.own_subaccount_id = s.id`.as("own"))
    .select(ownerOfIt.as("owner"));
}

/** What a look-up has read, before it is a proof of permission. */
type Unproven<T> = { [K in keyof T as K extends string ? K : never]: T[K] };

type MasterRow = Selectable<Schema["master"]>;

export type SubaccountRow = Selectable<Schema["subaccount"]> &
  Omit<CalendarColumns, "time_zone"> &
  Readonly<{
    own: boolean;
    owner: "in" | "invited" | null;
    next_plan: string | null;
    master_time_zone: string;
    master_state: "active" | "closed";
    master_suspended_at: Date | null;
    master_expires_at: Date | null;
  }>;

/** For rows that were read under the principal's reach. */
export function masterOf(row: MasterRow, now: Date): Master {
  const facts = { state: row.state, suspendedAt: row.suspended_at, expiresAt: row.expires_at };
  const master: Unproven<Master> = {
    id: row.id,
    name: row.name,
    state: shownState(now, facts) as MasterState,
    ownState: row.state,
    suspendedAt: row.suspended_at,
    expiresAt: row.expires_at,
    allowance: row.allowance,
    overage: row.overage,
    ceilingFactor: row.ceiling_factor,
    calendar: calendarOf(row),
    senderPolicy: row.sender_policy,
    strictAllocation: row.strict_allocation,
    notificationEmails: row.notification_emails,
    alertThresholds: row.alert_thresholds,
    alertDelivery: row.alert_delivery,
    alertUrgentImmediately: row.alert_urgent_immediately,
    raiseLinkMaxPercent: row.raise_link_max_percent,
    language: row.language,
    enforce2fa: row.enforce_2fa,
    ownSubaccountId: row.own_subaccount_id,
    contactPolicy: contactPolicyOf(row.contact_policy),
    newSubaccountDailyCap: row.new_subaccount_daily_cap,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  };
  return master as Master;
}

/** Its own and its master's: all must allow. */
export function statesOf(row: SubaccountRow): StateFacts[] {
  return [
    { state: row.state, suspendedAt: row.suspended_at, expiresAt: row.expires_at },
    { state: row.master_state, suspendedAt: row.master_suspended_at, expiresAt: row.master_expires_at },
  ];
}

function nextPlanOf(row: SubaccountRow): Subaccount["nextPlan"] {
  const { next_plan: name, next_plan_version: version, next_plan_at: at } = row;
  if (name === null || version === null || at === null) return null;
  return { name, version, monthlyLimit: row.next_monthly_limit, at };
}

/** For rows that were read under the principal's reach. */
export function subaccountOf(row: SubaccountRow, now: Date): Subaccount {
  const subaccount: Unproven<Subaccount> = {
    id: row.id,
    masterId: row.master_id,
    own: row.own,
    owner: row.owner,
    sandbox: row.sandbox,
    name: row.name,
    slug: row.slug,
    state: shownState(now, ...statesOf(row)),
    ownState: row.state,
    stateBefore: row.state_before,
    suspendedAt: row.suspended_at,
    expiresAt: row.expires_at,
    publicMessage: row.public_message,
    monthlyLimit: row.monthly_limit,
    ownerName: row.owner_name,
    ownerEmail: row.owner_email,
    notificationEmails: row.notification_emails,
    alertThresholds: row.alert_thresholds,
    externalId: row.external_id,
    region: row.region,
    language: row.language,
    enforce2fa: row.enforce_2fa,
    timeZone: row.time_zone,
    plan: row.plan,
    planVersion: row.plan_version,
    nextPlan: nextPlanOf(row),
    features: row.features,
    metadata: row.metadata,
    notes: row.notes,
    acceptedTermsAt: row.accepted_terms_at,
    billingProfile: row.billing_profile,
    closedAt: row.closed_at,
    rateLimits: row.rate_limits,
    reserve: row.reserve,
    movedTo: row.moved_to,
    erasedAt: row.erased_at,
    purgedAt: row.purged_at,
    dailyCapRamp: row.daily_cap_ramp,
    dailyCap: dailyCapAt(row.daily_cap_ramp, row.ramp_started_at, now),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
    calendar: calendarOf({ ...row, time_zone: row.master_time_zone }),
  };
  return subaccount as Subaccount;
}
