/** What happened to messages and accounts, newest first. */
import { z } from "@hono/zod-openapi";
import { eventTypes } from "../events/emit.ts";
import { type EventView, listEvents } from "../events/list.ts";
import type { EventId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, instant, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const eventShape = z
  .strictObject({
    id: shownId("evt"),
    type: z.enum(eventTypes),
    master_id: shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    subaccount_id: shownId("sub").nullable(),
    message_id: shownId("msg").nullable(),
    at: instant,
    data: z.record(z.string(), z.unknown()),
  })
  .openapi("Event");

export function eventEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/events",
        tag: "Events",
        summary: "What happened, newest first",
        access: { who: everyone, scopes: ["read"] },
        query: z.strictObject({
          type: z.enum(eventTypes).optional(),
          subaccount_id: idField("sub").optional(),
          message_id: idField("msg").optional(),
          ...pageParams,
        }),
        status: 200,
        answer: listOf(eventShape),
      },
      async (call) => {
        const { limit, after, page } = pagingOf(deps, call);
        const { type, subaccount_id: subaccountId, message_id: messageId } = call.query;
        const filter = { type, subaccountId, messageId, before: after?.[0] as EventId | undefined, limit };
        const show = (event: EventView) => showEvent(event, call.principal.kind === "operator");
        return { body: page(await listEvents(call.db, call.principal, filter), show, ({ id }) => [id]) };
      },
    ),
  ];
}

function showEvent(event: EventView, toOperator: boolean): z.output<typeof eventShape> {
  return {
    id: showId("evt", event.id),
    type: event.type,
    ...(toOperator ? { master_id: showId("mas", event.masterId) } : {}),
    subaccount_id: showId("sub", event.subaccountId),
    message_id: showId("msg", event.messageId),
    at: showInstant(event.at),
    data: event.data,
  };
}
