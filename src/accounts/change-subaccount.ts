/**
 * Changing a subaccount: a merge patch of its members, its monthly limit among them.
 *
 * Invariant: a changed limit rules the next message on every node: the usage row follows in the same transaction. What
 * changes nothing writes nothing and keeps the version.
 */
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { invalid } from "../platform/errors.ts";
import { formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master, Subaccount } from "./account.ts";
import { lockAllowance, requireLimit } from "./allocation.ts";
import { changedMembers, checkFields, columnsOf, requireOnly } from "./fields.ts";
import { findSubaccount, type SubaccountRef } from "./find.ts";
import { mergePatch } from "./merge-patch.ts";
import { requireBilling, requireChange } from "./permit.ts";
import { findPlanNamed, limitUnder, type Plan, planColumns } from "./plan.ts";
import { type Principal, scopesOf } from "./principal.ts";
import { mergeRateLimits } from "./rate-limits.ts";
import { requireFreeExternalId, requireFreeSlug } from "./slug.ts";
import {
  billingFields,
  ownFields,
  type SubaccountDetails,
  subaccountFields,
  subaccountMembers,
} from "./subaccount-fields.ts";
import { requireVersion } from "./version.ts";

export type SubaccountPatch = SubaccountDetails;

/**
 * @param options version: of If-Match
 * @throws Fault not-found, forbidden, invalid, conflict (taken slug or external id, no room), precondition
 */
export async function changeSubaccount(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  patch: SubaccountPatch,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Subaccount> {
  await requireRight(db, principal, ref, patch, clock);
  if (principal.kind === "subaccount") requireOnly(subaccountFields, ownFields, patch);
  checkFields(subaccountFields, patch);
  return inTransaction(db, async (trx) => {
    const seen = await findSubaccount(trx, principal, ref, clock);
    const limited = patch.monthlyLimit !== undefined || patch.plan !== undefined;
    const master = limited ? await lockAllowance(trx, principal, seen.masterId, clock) : null;
    const before = await findSubaccount(trx, principal, seen.id, clock, "change");
    requireVersion(before, options.version);
    const plan = await planFor(trx, before, patch);
    const members = { ...merged(before, patch), ...membersUnder(plan, patch) };
    const changed = changedMembers<SubaccountDetails>(subaccountFields, before, members);
    if (Object.keys(changed).length === 0) return before;
    if (master !== null && changed.monthlyLimit !== undefined) {
      await requireNewLimit(trx, master, before, changed.monthlyLimit, clock);
    }
    await requireFreeExternalId(trx, before.masterId, changed.externalId ?? null, before.id);
    if (changed.slug !== undefined) await requireFreeSlug(trx, changed.slug, before.id);
    await trx
      .updateTable("subaccount")
      .set((eb) => ({
        ...columnsOf(subaccountFields, changed),
        ...(changed.plan === undefined ? {} : planColumns(plan)),
        updated_at: clock.now(),
        version: eb("version", "+", 1),
      }))
      .where("id", "=", before.id)
      .execute();
    const after = await findSubaccount(trx, principal, before.id, clock);
    await tell(trx, principal, before, after, clock);
    return after;
  });
}

/** With the scope `billing` what bills are grouped by, and nothing else; another's account is not-found before anything is said of rights. */
async function requireRight(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  patch: SubaccountPatch,
  clock: Clock,
): Promise<void> {
  if (!scopesOf(principal).includes("billing")) return requireChange(principal);
  await findSubaccount(db, principal, ref, clock);
  const given = Object.entries(patch).filter(([, value]) => value !== undefined);
  if (given.every(([name]) => billingFields.includes(name as keyof SubaccountDetails))) requireBilling(principal);
  else requireChange(principal);
}

function merged(before: Subaccount, given: SubaccountPatch): SubaccountPatch {
  const { rateLimits } = given;
  const patch =
    rateLimits === undefined ? given : { ...given, rateLimits: mergeRateLimits(before.rateLimits, rateLimits) };
  if (patch.metadata === undefined) return patch;
  const metadata = (patch.metadata === null ? {} : mergePatch(before.metadata, patch.metadata)) as Record<
    string,
    unknown
  >;
  checkFields(subaccountFields, { metadata });
  return { ...patch, metadata };
}

/** Behind another name of a plan; undefined where there is none, and where the plan stays. */
async function planFor(trx: Db, before: Subaccount, { plan }: SubaccountPatch): Promise<Plan | undefined> {
  return plan == null || plan === before.plan ? undefined : findPlanNamed(trx, before.masterId, plan);
}

/** What comes with a plan and is not given apart. */
function membersUnder(plan: Plan | undefined, { monthlyLimit, features }: SubaccountPatch): SubaccountPatch {
  if (plan === undefined) return {};
  return { monthlyLimit: limitUnder(plan, monthlyLimit), features: features ?? plan.terms.features };
}

/** A lower limit always finds room; a closed account takes none until it is reopened. */
async function requireNewLimit(
  trx: Db,
  master: Master,
  before: Subaccount,
  limit: number | null,
  clock: Clock,
): Promise<void> {
  if (before.own) throw invalid("/monthly_limit", "The master's own subaccount has no limit: its allowance bounds it.");
  const closed = before.ownState === "closed" || before.ownState === "archived";
  const lowered = limit !== null && before.monthlyLimit !== null && limit <= before.monthlyLimit;
  if (before.sandbox) return;
  const strictAllocation = master.strictAllocation && !closed && !lowered;
  await requireLimit(trx, { ...master, strictAllocation }, limit, before.id, clock);
}

async function tell(trx: Db, principal: Principal, before: Subaccount, after: Subaccount, clock: Clock): Promise<void> {
  const { masterId, id: subaccountId } = after;
  const where = { principal, target: formatId("sub", subaccountId), masterId, subaccountId };
  const { monthly_limit: limitBefore, ...restBefore } = subaccountMembers(before);
  const { monthly_limit: limitAfter, ...restAfter } = subaccountMembers(after);
  if (JSON.stringify(restBefore) !== JSON.stringify(restAfter)) {
    await record(trx, { ...where, action: "subaccount.changed", before: restBefore, after: restAfter }, clock);
  }
  const event = { masterId, subaccountId, at: clock.now() };
  if (limitBefore !== limitAfter) {
    const limits = { before: { monthly_limit: limitBefore }, after: { monthly_limit: limitAfter } };
    await record(trx, { ...where, action: "quota.set", ...limits }, clock);
    const data = { monthly_limit: limitAfter, previous: limitBefore };
    await emit(trx, { ...event, type: "quota.changed", data }, clock);
  }
  if (before.state !== after.state) {
    const data = { from: before.state, to: after.state };
    await emit(trx, { ...event, type: "subaccount.state_changed", data }, clock);
  }
}
