/**
 * Billing profiles: currency, cost centre and address under which a master keeps the bills of its subaccounts.
 *
 * Invariant: a subaccount belongs to the profile of its master that it names, or to the default when it names none. So a
 * name never changes, a profile that is named is not deleted, and a master has one default at most.
 */
import type { Selectable } from "kysely";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { type BillingProfileId, formatId, type MasterId, newId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { inTransaction } from "../platform/transaction.ts";
import { changedMembers, checkFields, columnsOf, type Field, flag, line, membersOf, orNull, text } from "./fields.ts";
import { findMaster } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { currency } from "./plan-fields.ts";
import { type Principal, reachOf } from "./principal.ts";
import { requireVersion } from "./version.ts";

/** Undefined: not given. Null: none. */
export type BillingProfileDetails = {
  currency?: string | undefined;
  costCentre?: string | null | undefined;
  address?: string | null | undefined;
  isDefault?: boolean | undefined;
};

/** The members that can be changed. */
export const billingProfileFields = {
  currency: { column: "currency", rule: currency },
  costCentre: { column: "cost_centre", rule: orNull(line(100)) },
  address: { column: "address", rule: orNull(text(1000)) },
  isDefault: { column: "is_default", rule: flag },
} as const satisfies Record<keyof BillingProfileDetails, Field>;

const newFields = { name: { column: "name", rule: line(100) }, ...billingProfileFields };

export type BillingProfile = Readonly<{
  id: BillingProfileId;
  masterId: MasterId;
  name: string;
  currency: string;
  costCentre: string | null;
  address: string | null;
  /** That of the subaccounts that name none. */
  isDefault: boolean;
  createdAt: Date;
  updatedAt: Date;
  version: number;
}>;

export type NewBillingProfile = BillingProfileDetails & Readonly<{ name: string; currency: string }>;

/** As the default it takes the place of the one before. @throws Fault forbidden, invalid, conflict when the name is taken */
export async function createBillingProfile(
  db: Db,
  principal: Principal,
  input: NewBillingProfile,
  clock: Clock,
): Promise<BillingProfile> {
  requireMasterChange(principal);
  checkFields(newFields, input);
  return inTransaction(db, async (trx) => {
    const master = await findMaster(trx, principal, undefined, clock, "change");
    const { name, currency, costCentre = null, address = null, isDefault = false } = input;
    await requireFreeName(trx, master.id, name);
    if (isDefault) await dropDefault(trx, principal, master.id, clock);
    const now = clock.now();
    const row = await trx
      .insertInto("billing_profile")
      .values({
        id: newId<BillingProfileId>(clock),
        master_id: master.id,
        name,
        currency,
        cost_centre: costCentre,
        address,
        is_default: isDefault,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    const profile = profileOf(row);
    await note(trx, principal, "billing_profile.created", [null, profile], clock);
    return profile;
  });
}

/** As createBillingProfile; the name stays. @throws Fault not-found, forbidden, invalid, precondition */
export async function changeBillingProfile(
  db: Db,
  principal: Principal,
  id: BillingProfileId,
  patch: BillingProfileDetails,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<BillingProfile> {
  requireMasterChange(principal);
  checkFields(billingProfileFields, patch);
  return inTransaction(db, async (trx) => {
    const { masterId } = await findBillingProfile(trx, principal, id);
    await findMaster(trx, principal, masterId, clock, "change");
    const before = await findBillingProfile(trx, principal, id);
    requireVersion(before, options.version);
    const changed = changedMembers<BillingProfileDetails>(billingProfileFields, before, patch);
    if (Object.keys(changed).length === 0) return before;
    if (changed.isDefault) await dropDefault(trx, principal, masterId, clock);
    return update(trx, principal, before, changed, clock);
  });
}

/** @throws Fault not-found, forbidden, conflict for the default, and for one that a subaccount names */
export async function deleteBillingProfile(
  db: Db,
  principal: Principal,
  id: BillingProfileId,
  clock: Clock,
): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const { masterId } = await findBillingProfile(trx, principal, id);
    await findMaster(trx, principal, masterId, clock, "keep");
    // Waits for whoever names it now; what is read after it sees him.
    const row = await select(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
    if (row === undefined) throw notFound("billing profile");
    const profile = profileOf(row);
    if (profile.isDefault) throw new Fault("conflict", "This is the default: make another one the default first.");
    const named = trx.selectFrom("subaccount").select("id").where("master_id", "=", masterId);
    const user = await named.where("billing_profile", "=", profile.name).limit(1).executeTakeFirst();
    if (user !== undefined) throw new Fault("conflict", `A subaccount belongs to it: ${formatId("sub", user.id)}.`);
    await trx.deleteFrom("billing_profile").where("id", "=", id).execute();
    await note(trx, principal, "billing_profile.deleted", [profile, null], clock);
  });
}

/** @throws Fault not-found */
export async function findBillingProfile(db: Db, principal: Principal, id: BillingProfileId): Promise<BillingProfile> {
  const row = await select(db, principal).where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("billing profile");
  return profileOf(row);
}

export type BillingProfileFilter = Readonly<{
  after?: BillingProfileId | undefined;
  limit: number;
  masterId?: MasterId | undefined;
}>;

/** Oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listBillingProfiles(
  db: Db,
  principal: Principal,
  filter: BillingProfileFilter,
): Promise<BillingProfile[]> {
  let query = select(db, principal);
  if (filter.masterId !== undefined) query = query.where("master_id", "=", filter.masterId);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const page = query.orderBy("id").limit(filter.limit + 1);
  return (await page.execute()).map(profileOf);
}

function select(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("billing profile");
  const query = db.selectFrom("billing_profile").selectAll();
  return masterId === null ? query : query.where("master_id", "=", masterId);
}

async function requireFreeName(trx: Db, masterId: MasterId, name: string): Promise<void> {
  const query = trx.selectFrom("billing_profile").select("id").where("master_id", "=", masterId);
  if ((await query.where("name", "=", name).executeTakeFirst()) === undefined) return;
  const detail = "Another billing profile has this name.";
  throw new Fault("conflict", detail, [{ pointer: "/name", detail }]);
}

/** Under the master's lock, so that there is one to drop at most. */
async function dropDefault(trx: Db, principal: Principal, masterId: MasterId, clock: Clock): Promise<void> {
  const query = trx.selectFrom("billing_profile").selectAll().where("master_id", "=", masterId);
  const row = await query.where("is_default", "=", true).executeTakeFirst();
  if (row !== undefined) await update(trx, principal, profileOf(row), { isDefault: false }, clock);
}

async function update(
  trx: Db,
  principal: Principal,
  before: BillingProfile,
  changed: BillingProfileDetails,
  clock: Clock,
): Promise<BillingProfile> {
  const row = await trx
    .updateTable("billing_profile")
    .set((eb) => ({
      ...columnsOf(billingProfileFields, changed),
      updated_at: clock.now(),
      version: eb("version", "+", 1),
    }))
    .where("id", "=", before.id)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw notFound("billing profile"); // deleted since it was read
  const after = profileOf(row);
  await note(trx, principal, "billing_profile.changed", [before, after], clock);
  return after;
}

function profileOf(row: Selectable<Schema["billing_profile"]>): BillingProfile {
  const { id, master_id: masterId, name, currency, cost_centre: costCentre, address, version } = row;
  const { is_default: isDefault, created_at: createdAt, updated_at: updatedAt } = row;
  return { id, masterId, name, currency, costCentre, address, isDefault, createdAt, updatedAt, version };
}

type Change = readonly [before: BillingProfile, after: BillingProfile | null] | readonly [null, BillingProfile];

async function note(trx: Db, principal: Principal, action: string, change: Change, clock: Clock): Promise<void> {
  const { id, masterId } = (change[0] ?? change[1]) as BillingProfile;
  const [before, after] = change.map((profile) => profile && membersOf(newFields, profile));
  const target = formatId("bil", id);
  const entry = { principal, action, target, before: before ?? null, after: after ?? null };
  await record(trx, { ...entry, masterId, subaccountId: null }, clock);
}
