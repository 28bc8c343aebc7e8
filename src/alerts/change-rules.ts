/**
 * Making, changing and removing rules. A rule holds from the next alert on.
 *
 * Invariant: an account has at most one rule of a kind, so it is clear which one holds. Each change is audited in its
 * transaction; what changes nothing writes nothing.
 */
import { changedMembers, columnsOf, membersOf } from "../accounts/fields.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { requireVersion } from "../accounts/version.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type AlertRuleId, formatId, type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { type AlertRule, findRule, ruleOf } from "./find-rules.ts";
import { type AlertKind, defaultRules } from "./rule.ts";
import { checkRule, type RuleDetails, ruleFields } from "./rule-fields.ts";

export type NewRule = RuleDetails &
  Readonly<{
    kind: AlertKind;
    /** Left out: for all of the master's accounts. */
    subaccountId?: SubaccountId | undefined;
    /** The operator's choice, where no subaccount is named. */
    masterId?: MasterId | undefined;
  }>;

/** Members that are left out are those of the default. @throws Fault forbidden, invalid, not-found, conflict */
export async function createRule(db: Db, principal: Principal, input: NewRule, clock: Clock): Promise<AlertRule> {
  requireMasterChange(principal);
  const { kind, subaccountId, masterId, ...details } = input;
  checkRule(kind, details);
  return inTransaction(db, async (trx) => {
    const owner =
      subaccountId === undefined
        ? { master_id: (await findMaster(trx, principal, masterId, clock)).id, subaccount_id: null }
        : await findSubaccount(trx, principal, subaccountId, clock).then((one) => ({
            master_id: one.masterId,
            subaccount_id: one.id,
          }));
    const given = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
    const terms = { name: kind, ...defaultRules[kind], ...given };
    const now = clock.now();
    const row = await trx
      .insertInto("alert_rule")
      .values({
        ...(columnsOf(ruleFields, terms) as Pick<AlertRule, "name" | "enabled" | "topic">),
        id: newId<AlertRuleId>(clock),
        ...owner,
        kind,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) {
      const detail = `There is a rule of the kind ${kind} already: change that one.`;
      throw new Fault("conflict", detail, [{ pointer: "/kind", detail }]);
    }
    const rule = ruleOf(row);
    await tell(trx, principal, "alert_rule.created", rule, { before: null, after: membersOfRule(rule) }, clock);
    return rule;
  });
}

/** @param options version: of If-Match. @throws Fault forbidden, invalid, not-found, precondition */
export async function changeRule(
  db: Db,
  principal: Principal,
  id: AlertRuleId,
  patch: RuleDetails,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<AlertRule> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const before = await lockRule(trx, principal, id);
    requireVersion(before, options.version);
    checkRule(before.kind, patch);
    const changed = changedMembers<RuleDetails>(ruleFields, before, patch);
    if (Object.keys(changed).length === 0) return before;
    const row = await trx
      .updateTable("alert_rule")
      .set((eb) => ({ ...columnsOf(ruleFields, changed), updated_at: clock.now(), version: eb("version", "+", 1) }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const after = ruleOf(row);
    const members = { before: membersOfRule(before), after: membersOfRule(after) };
    await tell(trx, principal, "alert_rule.changed", after, members, clock);
    return after;
  });
}

/** The next one up holds again. @throws Fault forbidden, not-found */
export async function removeRule(db: Db, principal: Principal, id: AlertRuleId, clock: Clock): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const rule = await lockRule(trx, principal, id);
    await trx.deleteFrom("alert_rule").where("id", "=", id).execute();
    await tell(trx, principal, "alert_rule.removed", rule, { before: membersOfRule(rule), after: null }, clock);
  });
}

/** Until the transaction ends nobody else changes it. */
async function lockRule(trx: Db, principal: Principal, id: AlertRuleId): Promise<AlertRule> {
  await trx.selectFrom("alert_rule").select("id").where("id", "=", id).forUpdate().execute();
  return findRule(trx, principal, id);
}

type Members = Readonly<{ before: Record<string, unknown> | null; after: Record<string, unknown> | null }>;

function membersOfRule(rule: AlertRule): Record<string, unknown> {
  return { kind: rule.kind, ...membersOf(ruleFields, rule) };
}

async function tell(
  trx: Db,
  principal: Principal,
  action: string,
  { id, masterId, subaccountId }: AlertRule,
  members: Members,
  clock: Clock,
): Promise<void> {
  await record(trx, { principal, action, target: formatId("rul", id), ...members, masterId, subaccountId }, clock);
}
