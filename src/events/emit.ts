/**
 * What happened to a message or an account, written in the transaction of what happened.
 *
 * Not written here, since it can be derived or follows from another row: message.accepted (the message itself),
 * message.refused and quota.refused (the refusals), quota.threshold, quota.forecast and usage.jump (the trigger on alert),
 * and the outcomes of deliveries, which spool/settle writes in bulk.
 */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type EventId, type MasterId, type MessageId, newId, type SubaccountId } from "../platform/ids.ts";

export const eventTypes = [
  "message.accepted",
  "message.refused",
  "message.delivered",
  "message.deferred",
  "message.bounced",
  "quota.threshold",
  "quota.refused",
  "quota.changed",
  "usage.corrected",
  "quota.forecast",
  "usage.jump",
  "notification.bounced",
  "subaccount.state_changed",
  "subaccount.plan_changed",
  "subaccount.expiring",
  "subaccount.renewed",
  "subaccount.moved",
  "subaccount.erased",
  "master.state_changed",
  "master.expiring",
  "review.opened",
  "review.answered",
  "review.closed",
  "domain.verified",
  "domain.failed",
  "certificate.ending",
  "login.locked",
  "statement.closed",
] as const;
export type EventType = (typeof eventTypes)[number];

export type NewEvent = Readonly<{
  type: EventType;
  masterId: MasterId;
  /** Null or left out: the event is the master's own, and no subaccount sees it. */
  subaccountId?: SubaccountId | null;
  messageId?: MessageId | null;
  at: Date;
  /** Shown as it is, so snake_case and no secrets; a subaccount's event holds nothing of its master's figures. */
  data: Readonly<Record<string, unknown>>;
}>;

/** Writes one event; `db` is the transaction of what happened. */
export async function emit(db: Db, event: NewEvent, clock: Clock): Promise<EventId> {
  const id = newId<EventId>(clock);
  await db
    .insertInto("event")
    .values({
      id,
      type: event.type,
      master_id: event.masterId,
      subaccount_id: event.subaccountId ?? null,
      message_id: event.messageId ?? null,
      at: event.at,
      data: JSON.stringify(event.data),
    })
    .execute();
  return id;
}
