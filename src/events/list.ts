/**
 * The events that a principal may see, newest first: its master's, or those of its own subaccount alone. What messages
 * and refusals say by themselves stands among what was written as an event.
 */
import { type RawBuilder, sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import type { EventId, MasterId, MessageId, SubaccountId } from "../platform/ids.ts";
import type { EventType } from "./emit.ts";

export type EventView = Readonly<{
  /** Of a derived event: the id of the row it is derived from. */
  id: EventId;
  type: EventType;
  masterId: MasterId;
  subaccountId: SubaccountId | null;
  messageId: MessageId | null;
  at: Date;
  /** snake_case, to be shown as it is. */
  data: Readonly<Record<string, unknown>>;
}>;

export type EventFilter = Readonly<{
  type?: EventType | undefined;
  messageId?: MessageId | undefined;
  subaccountId?: SubaccountId | undefined;
  before?: EventId | undefined; // the last id of the page before
  limit: number;
}>;

type Row = {
  id: EventId;
  type: EventType;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  message_id: MessageId | null;
  at: Date;
  data: Record<string, unknown>;
};

/** At most `limit + 1` rows: one more than asked tells that there is more. */
export async function listEvents(db: Db, principal: Principal, filter: EventFilter): Promise<EventView[]> {
  const { rows } = await selectEvents(principal, filter).execute(db);
  return rows.map(({ master_id, subaccount_id, message_id, data, ...event }) => ({
    ...event,
    data: withUtcInstants(data),
    masterId: master_id,
    subaccountId: subaccount_id,
    messageId: message_id,
  }));
}

/** Thresholds told before migration 0011 hold their period's start with an offset, as Postgres writes it into JSON. */
function withUtcInstants<T extends object>(data: T): T {
  const start = "period_start" in data ? data.period_start : undefined;
  return typeof start === "string" ? { ...data, period_start: new Date(start).toISOString() } : data;
}

/** Each source gives its newest rows, in the order of an index; the newest of these are the page. */
export function selectEvents(principal: Principal, filter: EventFilter): RawBuilder<Row> {
  const { type, limit } = filter;
  const narrowed = narrow(principal, filter);
  const branches = [events(narrowed, filter)];
  if (type === undefined || type === "message.accepted") branches.push(acceptances(narrowed, filter));
  const refusals = type === undefined || type === "message.refused" || type === "quota.refused";
  if (refusals && filter.messageId === undefined) branches.push(refusalsOf(narrowed, filter));
  const newest = branches.map((branch) => sql`(${branch} order by id desc limit ${limit + 1})`);
  return sql`select * from (${sql.join(newest, sql` union all `)}) as page order by id desc limit ${limit + 1}`;
}

type Conditions = readonly RawBuilder<unknown>[];

function narrow(principal: Principal, filter: EventFilter): Conditions {
  const { masterId, subaccountId } = reachOf(principal);
  const conditions: RawBuilder<unknown>[] = [];
  if (masterId !== null && subaccountId === null) conditions.push(sql`master_id = ${masterId}`);
  if (subaccountId !== null) conditions.push(sql`subaccount_id = ${subaccountId}`);
  if (filter.subaccountId !== undefined) conditions.push(sql`subaccount_id = ${filter.subaccountId}`);
  if (filter.before !== undefined) conditions.push(sql`id < ${filter.before}`);
  return conditions;
}

const where = (conditions: Conditions) => sql.join([sql`true`, ...conditions], sql` and `);

function events(narrowed: Conditions, { type, messageId }: EventFilter): RawBuilder<unknown> {
  const conditions = [...narrowed];
  if (type !== undefined) conditions.push(sql`type = ${type}`);
  if (messageId !== undefined) conditions.push(sql`message_id = ${messageId}`);
  return sql`select id, type, master_id, subaccount_id, message_id, at, data from event where ${where(conditions)}`;
}

function acceptances(narrowed: Conditions, { messageId }: EventFilter): RawBuilder<unknown> {
  const conditions = messageId === undefined ? narrowed : [...narrowed, sql`id = ${messageId}`];
  return sql`
    select id, 'message.accepted' as type, master_id, subaccount_id, id as message_id, accepted_at as at,
           jsonb_build_object('from', sender, 'units', units, 'size_bytes', size_bytes, 'subject', subject) as data
      from message where kind = 'submitted' and ${where(conditions)}`;
}

const QUOTA_REASONS = sql`('quota-subaccount', 'quota-master')`;

function refusalsOf(narrowed: Conditions, { type }: EventFilter): RawBuilder<unknown> {
  const conditions = [...narrowed];
  if (type === "quota.refused") conditions.push(sql`reason in ${QUOTA_REASONS}`);
  if (type === "message.refused") conditions.push(sql`reason not in ${QUOTA_REASONS}`);
  return sql`
    select id, case when reason in ${QUOTA_REASONS} then 'quota.refused' else 'message.refused' end as type,
           master_id, subaccount_id, null::uuid as message_id, minute as at,
           jsonb_build_object('reason', reason, 'messages', messages, 'units', units, 'sample', sample) as data
      from refusal where ${where(conditions)}`;
}
