/** How a message with its recipients and attempts is shown. */
import { z } from "@hono/zod-openapi";
import type { MessageView } from "../spool/inspect.ts";
import { instant, showId, showInstant, shownId } from "./fields.ts";

export const messageStates = ["queued", "delivered", "bounced", "partial", "cancelled"] as const;
const recipientStates = ["queued", "deferred", "delivered", "bounced", "held", "cancelled"] as const;

const attemptShape = z
  .strictObject({
    at: instant,
    outcome: z.enum(["delivered", "deferred", "bounced", "cancelled", "expired"]),
    route: z.string(),
    remote: z.string().nullable().openapi({ description: "The host that answered." }),
    code: z.int().nullable().openapi({ example: 250 }),
    enhanced: z.string().nullable().openapi({ example: "2.0.0" }),
    reply: z.string(),
    indeterminate: z.boolean().openapi({ description: "The body was sent, the answer was lost: it may arrive twice." }),
  })
  .openapi("Attempt");

export const messageShape = z
  .strictObject({
    id: shownId("msg"),
    subaccount_id: shownId("sub"),
    state: z.enum(messageStates),
    from: z.string().openapi({ description: "The envelope's; empty for <>." }),
    header_from: z.string().nullable(),
    header_message_id: z.string().nullable(),
    subject: z.string().nullable(),
    recipients: z.array(
      z.strictObject({ address: z.string(), state: z.enum(recipientStates), attempts: z.array(attemptShape) }),
    ),
    units: z.int(),
    size_bytes: z.int(),
    accepted_at: instant,
    queue: z
      .strictObject({
        due_at: instant,
        attempts: z.int(),
        expires_at: instant,
        sending: z.boolean().openapi({ description: "A worker has it in its hands." }),
        held: z.boolean(),
      })
      .nullable()
      .openapi({ description: "While any recipient is open." }),
  })
  .openapi("Message");

export function showMessage(message: MessageView): z.output<typeof messageShape> {
  return {
    id: showId("msg", message.id),
    subaccount_id: showId("sub", message.subaccountId),
    state: message.state,
    from: message.from,
    header_from: message.headerFrom,
    header_message_id: message.messageId,
    subject: message.subject,
    recipients: message.recipients.map(({ address, state, attempts }) => ({
      address,
      state,
      attempts: attempts.map((attempt) => ({ ...attempt, indeterminate: attempt.indeterminate ?? false })),
    })),
    units: message.units,
    size_bytes: message.sizeBytes,
    accepted_at: showInstant(message.acceptedAt),
    queue: showQueue(message.queue),
  };
}

function showQueue(queue: MessageView["queue"]): z.output<typeof messageShape>["queue"] {
  if (queue === null) return null;
  return {
    due_at: showInstant(queue.dueAt),
    attempts: queue.attempts,
    expires_at: showInstant(queue.expiresAt),
    sending: queue.leased,
    held: queue.held,
  };
}
