/** What still waits: seen by its owners; tried again, cancelled or held. */
import { z } from "@hono/zod-openapi";
import type { MessageId } from "../platform/ids.ts";
import { cancelMessage, holdQueue, releaseQueue, retryMessage } from "../spool/change.ts";
import { listQueue, showMessage as readMessage } from "../spool/inspect.ts";
import type { Deps } from "./deps.ts";
import { type Call, type Definition, type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { idField, idParams, listOf, noMembers, pageParams } from "./fields.ts";
import { messageShape, showMessage } from "./message-shape.ts";
import { pagingOf } from "./paging.ts";
import { given } from "./present.ts";

const tag = "Queue";
const reading = { who: owners, scopes: ["read"] } as const;
const changing = { who: owners, scopes: [] } as const;

export function queueEndpoints(deps: Deps): Endpoint[] {
  return [list(deps), show(), ...changes(deps), ...holds(deps)];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/queue",
      tag,
      summary: "Messages that still have work, oldest first",
      access: reading,
      query: z.strictObject({ subaccount_id: idField("sub").optional(), ...pageParams }),
      status: 200,
      answer: listOf(messageShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = given({ subaccountId: call.query.subaccount_id, after: after?.[0] as MessageId | undefined });
      const rows = await listQueue(call.db, call.principal, { ...filter, limit });
      return { body: page(rows, showMessage, ({ id }) => [id]) };
    },
  );
}

const one = { tag, params: idParams("msg"), status: 200, answer: messageShape } as const;

function show(): Endpoint {
  return endpoint(
    { ...one, method: "get", path: "/v1/queue/{id}", summary: "One message", access: reading },
    async ({ db, principal, params }) => ({ body: showMessage(await readMessage(db, principal, params.id)) }),
  );
}

function changes({ clock }: Deps): Endpoint[] {
  const changing_ = { ...one, method: "post", access: changing, body: noMembers, bodyOptional: true } as const;
  type Changing = Call<"operator" | "master", typeof one.params, z.ZodType, typeof noMembers>;
  const then =
    (change: typeof retryMessage) =>
    async ({ db, principal, params }: Changing) => {
      await change(db, principal, params.id, clock);
      return { body: showMessage(await readMessage(db, principal, params.id)) };
    };
  return [
    endpoint({ ...changing_, path: "/v1/queue/{id}/retry", summary: "Try it again now" }, then(retryMessage)),
    endpoint(
      {
        ...changing_,
        path: "/v1/queue/{id}/cancel",
        summary: "Cancel its open recipients",
        description: "No report is sent, and nothing is given back.",
      },
      then(cancelMessage),
    ),
  ];
}

function holds({ clock }: Deps): Endpoint[] {
  const common = {
    method: "post",
    tag,
    access: { who: operatorOnly, scopes: [] },
    params: idParams("sub"),
    body: noMembers,
    bodyOptional: true,
    status: 204,
  } as const satisfies Partial<Definition>;
  return [
    endpoint(
      { ...common, path: "/v1/subaccounts/{id}/hold", summary: "Hold its queue; accepting goes on" },
      async ({ db, principal, params }) => {
        await holdQueue(db, principal, params.id, clock);
        return {};
      },
    ),
    endpoint(
      { ...common, path: "/v1/subaccounts/{id}/release", summary: "Let its queue go" },
      async ({ db, principal, params }) => {
        await releaseQueue(db, principal, params.id, clock);
        return {};
      },
    ),
  ];
}
