/** What is in the spool, as its owners see it. States are derived: a message's from its recipients, `held` from a hold. */
import { sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { MasterId, MessageId, SubaccountId } from "../platform/ids.ts";
import type { Attempt } from "./message.ts";

export type RecipientState = "queued" | "deferred" | "delivered" | "bounced" | "held" | "cancelled";
export type MessageState = "queued" | "delivered" | "bounced" | "partial" | "cancelled";

export type MessageView = Readonly<{
  id: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  state: MessageState;
  from: string;
  headerFrom: string | null;
  messageId: string | null;
  subject: string | null;
  recipients: readonly { address: string; state: RecipientState; attempts: readonly Attempt[] }[];
  units: number;
  sizeBytes: number;
  acceptedAt: Date;
  /** While any recipient is open. */
  queue: Readonly<{ dueAt: Date; attempts: number; expiresAt: Date; leased: boolean; held: boolean }> | null;
}>;

export type MessageFilter = Readonly<{
  subaccountId?: SubaccountId;
  state?: MessageState;
  from?: string;
  recipient?: string;
  before?: MessageId; // the last id of the page before; newest first
  limit: number;
}>;

type RecipientRow = { address: string; state: Exclude<RecipientState, "held">; attempts: Attempt[] };

const recipients = sql<
  RecipientRow[]
>`coalesce((select jsonb_agg(jsonb_build_object('address', r.address, 'state', r.state, 'attempts', r.attempts) order by r.n)
    from recipient r where r.message_id = m.id), '[]')`.as("recipients");
const held = sql<boolean>`is_held(m.subaccount_id)`.as("held");

type Row = Awaited<ReturnType<ReturnType<typeof select>["execute"]>>[number];

function select(db: Db) {
  return db
    .selectFrom("message as m")
    .leftJoin("queue as q", "q.message_id", "m.id")
    .select(["m.id", "m.master_id", "m.subaccount_id", "m.sender", "m.header_from", "m.header_message_id", "m.subject"])
    .select(["m.units", "m.size_bytes", "m.accepted_at", "q.due_at", "q.attempt", "q.expires_at", "q.owner"])
    .select([recipients, held])
    .where("m.kind", "=", "submitted");
}

const stateIs: Record<MessageState, string> = {
  queued: "bool_or(state in ('queued', 'deferred'))",
  delivered: "bool_and(state = 'delivered')",
  bounced: "bool_and(state = 'bounced')",
  cancelled: "bool_and(state = 'cancelled')",
  partial: "not bool_or(state in ('queued', 'deferred')) and count(distinct state) > 1",
};

/** Newest first, at most `limit + 1` rows: one more than asked tells that there is more. */
export async function listMessages(db: Db, principal: Principal, filter: MessageFilter): Promise<MessageView[]> {
  let query = select(db)
    .orderBy("m.id", "desc")
    .limit(filter.limit + 1);
  query = narrow(query, principal);
  if (filter.subaccountId !== undefined) query = query.where("m.subaccount_id", "=", filter.subaccountId);
  if (filter.before !== undefined) query = query.where("m.id", "<", filter.before);
  if (filter.from !== undefined) query = query.where("m.sender", "=", filter.from);
  if (filter.recipient !== undefined) {
    query = query.where(
      sql<boolean>`exists (select from recipient r where r.message_id = m.id and r.address = ${filter.recipient})`,
    );
  }
  if (filter.state !== undefined) {
    query = query.where(
      sql<boolean>`(select ${sql.raw(stateIs[filter.state])} from recipient r where r.message_id = m.id)`,
    );
  }
  return (await query.execute()).map(view);
}

/** @throws Fault not-found, also for another tenant's message. */
export async function showMessage(db: Db, principal: Principal, id: MessageId): Promise<MessageView> {
  const row = await narrow(select(db), principal).where("m.id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("message");
  return view(row);
}

export type QueueFilter = Readonly<{ subaccountId?: SubaccountId; after?: MessageId; limit: number }>;

/** Messages that still have work, oldest first. `limit + 1` rows. */
export async function listQueue(db: Db, principal: Principal, filter: QueueFilter): Promise<MessageView[]> {
  let query = narrow(select(db), principal)
    .where("q.message_id", "is not", null)
    .orderBy("m.id")
    .limit(filter.limit + 1);
  if (filter.subaccountId !== undefined) query = query.where("m.subaccount_id", "=", filter.subaccountId);
  if (filter.after !== undefined) query = query.where("m.id", ">", filter.after);
  return (await query.execute()).map(view);
}

/** Depth and age of the queue, for metrics and the operator. */
export async function measureQueue(db: Db): Promise<{ depth: number; oldestSeconds: number }> {
  const { rows } = await sql<{ depth: string; oldest: number | null }>`
    select (select count(*) from queue) as depth,
           (select extract(epoch from pm_now() - m.accepted_at)::float8 from message m
             where m.id = (select message_id from queue order by message_id limit 1)) as oldest`.execute(db);
  return { depth: Number(rows[0]?.depth ?? 0), oldestSeconds: Math.max(0, rows[0]?.oldest ?? 0) };
}

function narrow<Q extends ReturnType<typeof select>>(query: Q, principal: Principal): Q {
  const { masterId, subaccountId } = reachOf(principal);
  let narrowed: ReturnType<typeof select> = query;
  if (masterId !== null) narrowed = narrowed.where("m.master_id", "=", masterId);
  if (subaccountId !== null) narrowed = narrowed.where("m.subaccount_id", "=", subaccountId);
  return narrowed as Q;
}

function view(row: Row): MessageView {
  const shown = row.recipients.map((r) => ({ ...r, state: row.held && isOpen(r.state) ? ("held" as const) : r.state }));
  return {
    id: row.id,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    state: messageState(row.recipients.map((r) => r.state)),
    from: row.sender,
    headerFrom: row.header_from,
    messageId: row.header_message_id,
    subject: row.subject,
    recipients: shown,
    units: row.units,
    sizeBytes: row.size_bytes,
    acceptedAt: row.accepted_at,
    queue:
      row.due_at === null || row.expires_at === null
        ? null
        : {
            dueAt: row.due_at,
            attempts: row.attempt ?? 0,
            expiresAt: row.expires_at,
            leased: row.owner !== null,
            held: row.held,
          },
  };
}

const isOpen = (state: RecipientState) => state === "queued" || state === "deferred";

/** `queued` while any recipient is open, else what they have in common, else `partial`. */
export function messageState(states: readonly Exclude<RecipientState, "held">[]): MessageState {
  if (states.some(isOpen)) return "queued";
  const [first] = states;
  return first !== undefined && states.every((state) => state === first) ? (first as MessageState) : "partial";
}
