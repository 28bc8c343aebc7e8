/** Rules as their master sees them. Another tenant's are not found, like none at all; a subaccount has no say in them. */
import { sql } from "kysely";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { AlertRuleId, MasterId, SubaccountId } from "../platform/ids.ts";
import { type AlertKind, alertKinds, defaultRules, type RuleTerms } from "./rule.ts";

export type AlertRule = RuleTerms &
  Readonly<{
    id: AlertRuleId;
    masterId: MasterId;
    /** Null: of all of the master's accounts that have no own one of the kind. */
    subaccountId: SubaccountId | null;
    kind: AlertKind;
    name: string;
    createdAt: Date;
    updatedAt: Date;
    version: number;
  }>;

/** @throws Fault not-found */
export async function findRule(db: Db, principal: Principal, id: AlertRuleId): Promise<AlertRule> {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("rule");
  let query = selectRules(db).where("id", "=", id);
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  const rule = await query.executeTakeFirst();
  if (rule === undefined) throw notFound("rule");
  return ruleOf(rule);
}

export type RuleFilter = Readonly<{
  subaccountId?: SubaccountId | undefined;
  kind?: AlertKind | undefined;
  after?: AlertRuleId | undefined; // the last id of the page before
  limit: number;
}>;

/** In order of their ids; `limit + 1` rows: the last tells that there is more. */
export async function listRules(db: Db, principal: Principal, filter: RuleFilter): Promise<AlertRule[]> {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) return [];
  let query = selectRules(db)
    .orderBy("id")
    .limit(filter.limit + 1);
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (filter.subaccountId !== undefined) query = query.where("subaccount_id", "=", filter.subaccountId);
  if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  return (await query.execute()).map(ruleOf);
}

/** `source`: whose rule it is. */
export type RuleInForce = RuleTerms &
  Readonly<{ kind: AlertKind; source: "subaccount" | "master" | "default"; id: AlertRuleId | null }>;

/** What holds for a subaccount: one of each kind. @throws Fault not-found */
export async function rulesInForce(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  clock: Clock,
): Promise<RuleInForce[]> {
  const { id, masterId } = await findSubaccount(db, principal, ref, clock);
  const rows = await selectRules(db)
    .where(sql<boolean>`coalesce(subaccount_id, master_id) in (${id}, ${masterId})`)
    .execute();
  const rules = rows.map(ruleOf);
  return alertKinds.map((kind) => {
    const same = rules.filter((rule) => rule.kind === kind);
    const rule = same.find(({ subaccountId }) => subaccountId !== null) ?? same[0];
    if (rule === undefined) return { ...defaultRules[kind], kind, source: "default", id: null };
    const { enabled, topic, delivery, percents, daysBefore, factor, minimum } = rule;
    const terms = { enabled, topic, delivery, percents, daysBefore, factor, minimum };
    return { ...terms, kind, source: rule.subaccountId === null ? "master" : "subaccount", id: rule.id };
  });
}

function selectRules(db: Db) {
  return db.selectFrom("alert_rule").selectAll();
}

type Row = Awaited<ReturnType<ReturnType<typeof selectRules>["executeTakeFirstOrThrow"]>>;

export function ruleOf(row: Row): AlertRule {
  return {
    id: row.id,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    kind: row.kind,
    name: row.name,
    enabled: row.enabled,
    topic: row.topic as RuleTerms["topic"],
    delivery: row.delivery,
    percents: row.percents,
    daysBefore: row.days_before,
    factor: row.factor === null ? null : Number(row.factor),
    minimum: row.minimum,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  };
}
