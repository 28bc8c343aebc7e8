/** Messages as they were accepted, and what became of each recipient. */
import { z } from "@hono/zod-openapi";
import type { MessageId } from "../platform/ids.ts";
import { listMessages, showMessage as readMessage } from "../spool/inspect.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, idParams, line, listOf, pageParams } from "./fields.ts";
import { messageShape, messageStates, showMessage } from "./message-shape.ts";
import { pagingOf } from "./paging.ts";
import { given } from "./present.ts";

const tag = "Messages";
const access = { who: everyone, scopes: ["read"] } as const;

const listQuery = z.strictObject({
  subaccount_id: idField("sub").optional(),
  state: z.enum(messageStates).optional(),
  from: line(320).optional().openapi({ description: "The envelope's sender, exactly." }),
  recipient: line(320).optional().openapi({ description: "One recipient, exactly." }),
  ...pageParams,
});

export function messageEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/messages",
        tag,
        summary: "Accepted messages, newest first",
        access,
        query: listQuery,
        status: 200,
        answer: listOf(messageShape),
      },
      async (call) => {
        const { limit, after, page } = pagingOf(deps, call);
        const { subaccount_id: subaccountId, state, from, recipient } = call.query;
        const before = after?.[0] as MessageId | undefined;
        const filter = { ...given({ subaccountId, state, from, recipient, before }), limit };
        return { body: page(await listMessages(call.db, call.principal, filter), showMessage, ({ id }) => [id]) };
      },
    ),
    endpoint(
      {
        method: "get",
        path: "/v1/messages/{id}",
        tag,
        summary: "One message with every attempt",
        access,
        params: idParams("msg"),
        status: 200,
        answer: messageShape,
      },
      async ({ db, principal, params }) => ({ body: showMessage(await readMessage(db, principal, params.id)) }),
    ),
  ];
}
