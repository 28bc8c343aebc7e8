/**
 * What was refused, per minute, subaccount and reason, newest first.
 *
 * Invariant: a master sees its subaccounts' refusals, a subaccount its own. What a subaccount is shown of a refusal for its master's
 * cap is what its client was told: never a number of the master's.
 */
import { type RawBuilder, sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import type { EventId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { RefusalReason } from "./refusals.ts";

/** `sample`: the first message that was refused in that minute for that reason. */
export type RefusalCount = Readonly<{
  id: EventId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  minute: Date;
  reason: RefusalReason;
  messages: number;
  /** Recipients of these messages, as far as they were known. */
  units: number;
  sample: RefusalSample;
}>;

export type RefusalSample = Readonly<{
  units?: number;
  from?: string;
  recipient?: string;
  client_address?: string;
  detail?: string;
}>;

export type RefusalFilter = Readonly<{
  subaccountId?: SubaccountId | undefined;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
  reasons?: readonly RefusalReason[] | undefined;
  /** Minutes that begin from then on, and before then. */
  since?: Date | undefined;
  until?: Date | undefined;
  /** The last id of the page before. */
  after?: EventId | undefined;
  limit: number;
}>;

/** `limit + 1` rows: the last tells that there is more. */
export async function listRefusals(db: Db, principal: Principal, filter: RefusalFilter): Promise<RefusalCount[]> {
  const conditions = conditionsOf(principal, filter);
  const { rows } = await sql<RefusalCount>`
    select id, master_id as "masterId", subaccount_id as "subaccountId", minute, reason, messages, units, coalesce(sample, '{}') as sample
      from refusal where ${sql.join([sql`true`, ...conditions], sql` and `)}
     order by id desc limit ${filter.limit + 1}`.execute(db);
  return rows;
}

/** An id is as old as the first refusal of its minute: it bounds the scan, the minute itself decides. */
function conditionsOf(principal: Principal, filter: RefusalFilter): RawBuilder<unknown>[] {
  const reach = reachOf(principal);
  const { reasons, since, until, after } = filter;
  const conditions: RawBuilder<unknown>[] = [];
  for (const id of [reach.masterId, filter.masterId]) if (id != null) conditions.push(sql`master_id = ${id}`);
  for (const id of [reach.subaccountId, filter.subaccountId]) {
    if (id != null) conditions.push(sql`subaccount_id = ${id}`);
  }
  if (reasons !== undefined) conditions.push(sql`reason = any(${[...reasons]})`);
  if (since !== undefined) conditions.push(sql`minute >= ${since} and id >= uuid_at(${since})`);
  if (until !== undefined) {
    conditions.push(sql`minute < ${until} and id < uuid_at(${until}::timestamptz + interval '1 minute')`);
  }
  if (after !== undefined) conditions.push(sql`id < ${after}`);
  return conditions;
}
