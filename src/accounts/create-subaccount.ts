/** A subaccount with its first credential, in one transaction. */
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type SubaccountId, type TemplateId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master, Subaccount } from "./account.ts";
import { lockAllowance, requireLimit } from "./allocation.ts";
import { insertCredential, type NewCredential } from "./credentials.ts";
import { rampFor } from "./daily-cap.ts";
import { checkFields, columnsOf } from "./fields.ts";
import { findSubaccount } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { findPlanNamed, limitUnder, planColumns } from "./plan.ts";
import type { Principal } from "./principal.ts";
import { mergeRateLimits } from "./rate-limits.ts";
import { insertWithSlug } from "./slug.ts";
import { type SubaccountDetails, subaccountFields, subaccountMembers } from "./subaccount-fields.ts";
import { settingsOf } from "./templates.ts";

export type SubaccountInput = SubaccountDetails &
  Readonly<{
    name: string;
    /** Units per period; 0: may not send, null: bounded by the master only. May be left out where a plan has one. */
    monthlyLimit?: number | null | undefined;
    /** `handover` (default): the first credential is in the answer. `invite`: pending, without one, until it is enabled. */
    onboarding?: "handover" | "invite" | undefined;
    /** Its mail is never delivered and never billed. */
    sandbox?: boolean | undefined;
    /** Gives what is not given here. */
    template?: TemplateId | undefined;
    /** The operator's choice; a master's are its own. */
    masterId?: MasterId | undefined;
  }>;

/** @throws Fault forbidden, invalid, conflict (taken slug or external id, no room, closed master) */
export async function createSubaccount(
  db: Db,
  principal: Principal,
  input: SubaccountInput,
  keyring: Keyring,
  clock: Clock,
): Promise<Readonly<{ subaccount: Subaccount; credential: NewCredential | null }>> {
  requireMasterChange(principal);
  checkFields(subaccountFields, input);
  const invited = input.onboarding === "invite";
  if (invited && (input.ownerEmail ?? null) === null) throw invalid("/owner_email", "An invitation needs an address.");
  return inTransaction(db, async (trx) => {
    const master = await lockAllowance(trx, principal, input.masterId, clock);
    if (master.ownState === "closed") throw new Fault("conflict", "The master account is closed.");
    const template = input.template === undefined ? {} : await settingsOf(trx, master.id, input.template);
    const given = { ...template, ...withoutUndefined(input) };
    const plan = given.plan == null ? undefined : await findPlanNamed(trx, master.id, given.plan);
    const monthlyLimit = limitUnder(plan, given.monthlyLimit);
    const features = given.features ?? plan?.terms.features;
    if (!input.sandbox) await requireLimit(trx, master, monthlyLimit, null, clock);
    const id = newId<SubaccountId>(clock);
    const now = clock.now();
    await insertWithSlug(trx, {
      ...columnsOf(subaccountFields, {
        ...given,
        monthlyLimit,
        features,
        metadata: given.metadata ?? undefined,
        rateLimits: mergeRateLimits(null, given.rateLimits ?? null),
        dailyCapRamp: rampOf(master, monthlyLimit, given.dailyCapRamp),
      }),
      ...planColumns(plan),
      id,
      master_id: master.id,
      name: input.name,
      slug: input.slug,
      sandbox: input.sandbox ?? false,
      state: invited ? "pending" : "active",
      created_at: now,
      updated_at: now,
    });
    const subaccount = await findSubaccount(trx, principal, id, clock);
    await record(
      trx,
      {
        principal,
        action: "subaccount.created",
        target: formatId("sub", id),
        before: null,
        after: { ...subaccountMembers(subaccount), state: subaccount.ownState, sandbox: subaccount.sandbox },
        masterId: master.id,
        subaccountId: id,
      },
      clock,
    );
    const credential = invited ? null : await insertCredential(trx, principal, subaccount, {}, keyring, clock);
    return { subaccount, credential };
  });
}

/** What is not given must not hide what the template gives. */
function withoutUndefined(input: SubaccountInput): SubaccountInput {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as SubaccountInput;
}

/** Its own, or what its master gives to new ones. */
function rampOf(
  { newSubaccountDailyCap }: Master,
  monthlyLimit: number | null,
  given: SubaccountInput["dailyCapRamp"],
) {
  return given === undefined ? rampFor(monthlyLimit, newSubaccountDailyCap) : given;
}
