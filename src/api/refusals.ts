/** What was refused and why, for both sides: the account whose mail it was, and its master. */
import { z } from "@hono/zod-openapi";
import { listRefusals, type RefusalCount } from "../metering/list-refusals.ts";
import { refusalReasons } from "../metering/refusals.ts";
import type { EventId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Call, type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, instant, instantField, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { someOf } from "./list-params.ts";
import { negotiate } from "./negotiate.ts";
import { pagingOf } from "./paging.ts";
import { Problem } from "./problem.ts";
import { refusalsTable } from "./refusals-table.ts";

export const refusalShape = z
  .strictObject({
    subaccount_id: shownId("sub"),
    master_id: shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    minute: instant.openapi({ description: "The minute in which they were refused." }),
    reason: z.enum(refusalReasons),
    messages: z.int(),
    units: z.int().openapi({ description: "Recipients of these messages, as far as they were known." }),
    sample: z
      .strictObject({
        units: z.int().optional(),
        from: z.string().optional(),
        recipient: z.string().optional(),
        client_address: z.string().optional(),
        detail: z.string().optional().openapi({ description: "The answer that the client got." }),
      })
      .openapi({ description: "The first of them." }),
  })
  .openapi("Refusal", {
    example: {
      subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
      minute: "2026-11-22T09:30:00.000Z",
      reason: "rate",
      messages: 41,
      units: 41,
      sample: {
        units: 1,
        from: "app@customer.example",
        client_address: "192.0.2.7",
        detail: "451 4.7.1 Rate limit reached, retry in 17 seconds",
      },
    },
  });

const query = z.strictObject({
  subaccount_id: idField("sub").optional(),
  master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
  reason: someOf(refusalReasons).optional(),
  since: instantField.optional().openapi({ description: "Minutes that begin from then on." }),
  until: instantField.optional().openapi({ description: "Minutes that begin before then." }),
  ...pageParams,
});

export function refusalEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/refusals",
        tag: "Refusals",
        summary: "What was refused, by minute and reason, newest first",
        description: "With Accept: text/csv all that match as one table, without pages. Refusals are never charged.",
        access: { who: everyone, scopes: ["read"] },
        query,
        status: 200,
        answer: listOf(refusalShape),
        also: { "text/csv": "One row per minute, subaccount and reason." },
      },
      async (call) => {
        const { db, principal } = call;
        const toOperator = principal.kind === "operator";
        if (negotiate(call.accept, ["application/json", "text/csv"]) === "text/csv") {
          refusePages(call.query);
          return { content: await refusalsTable({ db, principal, clock: deps.clock, log: deps.log }, searchOf(call)) };
        }
        const { limit, after, page } = pagingOf(deps, call);
        const filter = { ...searchOf(call), after: after?.[0] as EventId | undefined, limit };
        const show = (refusal: RefusalCount) => showRefusal(refusal, toOperator);
        return { body: page(await listRefusals(db, principal, filter), show, ({ id }) => [id]) };
      },
    ),
  ];
}

type Asked = Pick<Call<"operator", z.ZodType, typeof query>, "query">;

function searchOf({
  query: { subaccount_id: subaccountId, master_id: masterId, reason: reasons, since, until },
}: Asked) {
  return { subaccountId, masterId, reasons, since, until };
}

/** @throws Problem invalid */
function refusePages(given: z.output<typeof query>): void {
  const detail = "The table holds all that match.";
  const mistakes = (["limit", "cursor"] as const)
    .filter((name) => given[name] !== undefined)
    .map((name) => ({ pointer: `/${name}`, detail }));
  if (mistakes.length > 0) throw new Problem("invalid", detail, { mistakes });
}

function showRefusal(refusal: RefusalCount, toOperator: boolean): z.output<typeof refusalShape> {
  const { subaccountId, masterId, minute, reason, messages, units, sample } = refusal;
  return {
    subaccount_id: showId("sub", subaccountId),
    ...(toOperator ? { master_id: showId("mas", masterId) } : {}),
    minute: showInstant(minute),
    reason,
    messages,
    units,
    sample: { ...sample },
  };
}
