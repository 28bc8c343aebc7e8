/** Corrections of the bill: made by the operator, seen by the master too. */
import { z } from "@hono/zod-openapi";
import { addCorrection } from "../metering/correction.ts";
import { type ListedCorrection, listCorrections } from "../metering/list-corrections.ts";
import type { EntryId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { dateField, idField, instant, line, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Statements";
/** No message has more recipients. */
const MOST = 100_000;

const shape = z
  .strictObject({
    id: shownId("ent"),
    message_id: shownId("msg"),
    master_id: shownId("mas"),
    subaccount_id: shownId("sub"),
    period_start: instant.openapi({ description: "Of the period in which it counts: the one in which it was made." }),
    units: z.int().openapi({ description: "Below 0: taken back; above: charged again.", example: -3 }),
    note: z.string().openapi({ example: "delivered twice by our fault" }),
    actor: z
      .strictObject({ kind: z.string().openapi({ example: "operator" }), id: z.string().nullable() })
      .nullable()
      .openapi({ description: "As in the audit log; null: it was not kept with the correction." }),
    created_at: instant,
  })
  .openapi("Correction");

export function correctionEndpoints(deps: Deps): Endpoint[] {
  return [correct(deps), list(deps)];
}

function correct({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/corrections",
      tag,
      summary: "Take a charge back, wholly or in part",
      description:
        "Changes the bill of the running period, not what may be sent. Of a message between nothing and all is taken back. Units that are no message's are credits.",
      access: { who: operatorOnly, scopes: [] },
      body: z
        .strictObject({
          message_id: idField("msg"),
          units: z.int().min(-MOST).max(MOST).optional().openapi({
            description:
              "Below 0: taken back; above: charged again. Left out: all that is still charged is taken back.",
          }),
          note: line(500).openapi({ description: "Why; the master sees it." }),
        })
        .openapi("NewCorrection", {
          example: {
            message_id: "msg_01kb2m5xj7e1fr0x4m4f6a0z3q",
            units: -3,
            note: "delivered twice by our fault",
          },
        }),
      status: 201,
      answer: shape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { message_id: messageId, units, note } = body;
      const { period, actor, ...made } = await addCorrection(db, principal, { messageId, units, note }, clock);
      const by = { actorKind: actor.actor_kind, actorId: actor.actor_id };
      return { body: show({ ...made, periodStart: period.start, ...by }) };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/corrections",
      tag,
      summary: "Corrections, newest first",
      access: { who: owners, scopes: ["read", "billing"] },
      query: z.strictObject({
        master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
        subaccount_id: idField("sub").optional(),
        period: dateField
          .optional()
          .openapi({ description: "Start of the period in which they count, in the master's time zone." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(shape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { master_id: masterId, subaccount_id: subaccountId, period } = call.query;
      const filter = { masterId, subaccountId, period, after: after?.[0] as EntryId | undefined, limit };
      return { body: page(await listCorrections(call.db, call.principal, filter, deps.clock), show, ({ id }) => [id]) };
    },
  );
}

function show(correction: ListedCorrection): z.output<typeof shape> {
  const { units, note, actorKind: kind, actorId } = correction;
  return {
    id: showId("ent", correction.id),
    message_id: showId("msg", correction.messageId),
    master_id: showId("mas", correction.masterId),
    subaccount_id: showId("sub", correction.subaccountId),
    period_start: showInstant(correction.periodStart),
    units,
    note,
    actor: kind === null ? null : { kind, id: actorId },
    created_at: showInstant(correction.createdAt),
  };
}
