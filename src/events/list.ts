/** The events that a principal may see, newest first: its master's, or those of its own subaccount alone. */
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

/** At most `limit + 1` rows: one more than asked tells that there is more. */
export async function listEvents(db: Db, principal: Principal, filter: EventFilter): Promise<EventView[]> {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db
    .selectFrom("account_event")
    .selectAll()
    .orderBy("id", "desc")
    .limit(filter.limit + 1);
  if (masterId !== null && subaccountId === null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where("subaccount_id", "=", subaccountId);
  if (filter.subaccountId !== undefined) query = query.where("subaccount_id", "=", filter.subaccountId);
  if (filter.messageId !== undefined) query = query.where("message_id", "=", filter.messageId);
  if (filter.type !== undefined) query = query.where("type", "=", filter.type);
  if (filter.before !== undefined) query = query.where("id", "<", filter.before);
  return (await query.execute()).map(({ id, type, master_id, subaccount_id, message_id, at, data }) => ({
    id: id as EventId,
    type: type as EventType,
    at,
    data,
    masterId: master_id,
    subaccountId: subaccount_id,
    messageId: message_id,
  }));
}
