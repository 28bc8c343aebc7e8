/** Corrections, newest first: what was taken back or charged again, of which message, by whom and why. */
import { sql } from "kysely";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { invalid, notFound } from "../platform/errors.ts";
import type { EntryId, MasterId, MessageId, SubaccountId } from "../platform/ids.ts";
import { findPeriod } from "./find-period.ts";
import { idsAround } from "./ledger.ts";
import type { Period } from "./period.ts";

export type ListedCorrection = Readonly<{
  id: EntryId;
  messageId: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  periodStart: Date;
  units: number; // signed
  note: string;
  /** Kind and id as in the audit log; null: it was not kept with the correction. */
  actorKind: string | null;
  actorId: string | null;
  createdAt: Date;
}>;

export type CorrectionFilter = Readonly<{
  masterId?: MasterId | undefined; // the operator's choice
  subaccountId?: SubaccountId | undefined;
  /** A start date in the zone of the master, who must be known then. */
  period?: string | undefined;
  after?: EntryId | undefined; // the last id of the page before
  limit: number;
}>;

/**
 * A master's own, or all for the operator; `limit + 1` rows: the last tells that there is more. They are few, and found by their own
 * index before they are put in order.
 * @throws Fault not-found for a subaccount, invalid at /period
 */
export async function listCorrections(
  db: Db,
  principal: Principal,
  filter: CorrectionFilter,
  clock: Clock,
): Promise<ListedCorrection[]> {
  const reach = reachOf(principal);
  if (reach.subaccountId !== null) throw notFound("master");
  const conditions = [sql`kind = 'correction'`];
  for (const id of [reach.masterId, filter.masterId]) if (id != null) conditions.push(sql`master_id = ${id}`);
  if (filter.subaccountId !== undefined) conditions.push(sql`subaccount_id = ${filter.subaccountId}`);
  if (filter.after !== undefined) conditions.push(sql`id < ${filter.after}`);
  const period = await periodOf(db, principal, filter, clock);
  if (period !== undefined) {
    const { from, to } = idsAround(period);
    conditions.push(sql`period_start = ${period.start} and id >= ${from}::uuid and id < ${to}::uuid`);
  }
  const { rows } = await sql<ListedCorrection>`
    with found as materialized (select * from usage_entry where ${sql.join(conditions, sql` and `)})
    select id, corrects as "messageId", master_id as "masterId", subaccount_id as "subaccountId", period_start as "periodStart", units, note,
           actor_kind as "actorKind", actor_id as "actorId", accepted_at as "createdAt"
      from found order by id desc limit ${filter.limit + 1}`.execute(db);
  return rows;
}

async function periodOf(
  db: Db,
  principal: Principal,
  { masterId, subaccountId, period }: CorrectionFilter,
  clock: Clock,
): Promise<Period | undefined> {
  if (period === undefined) return undefined;
  if (subaccountId !== undefined)
    return findPeriod(db, await findSubaccount(db, principal, subaccountId, clock), period, clock);
  const known = masterId ?? reachOf(principal).masterId;
  if (known === null) throw invalid("/period", "Periods are a master's: name it, or a subaccount of it.");
  const { id, calendar } = await findMaster(db, principal, known, clock);
  return findPeriod(db, { masterId: id, calendar }, period, clock);
}
